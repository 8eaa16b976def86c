"""The back office's API: HTTP for programs, over the same functions as the command line."""

"""The applicants' own way in: an API and plain pages, in a process apart from the staff's."""

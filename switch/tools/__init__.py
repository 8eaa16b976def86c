"""Tools for people: one message opened, one message written."""

"""The HTTP side for operators."""

"""Files that an operator writes: read, checked against a model, and what is wrong with them in words."""

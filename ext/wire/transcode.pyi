"""Writing one field of a message in the encoding of its destination; used from compiled code only."""

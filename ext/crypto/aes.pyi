"""AES of single blocks, for other compiled modules alone."""

"""MACs, PIN blocks, DES and sealing, over libcrypto."""

"""Keys of terminals, taken up while the registry is looked up: the new ones, and with them what they replace."""

"""The mesh: what workers tell each other of terminals, answers and links, and the rings that carry it within a node."""

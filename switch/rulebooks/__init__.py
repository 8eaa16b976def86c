"""Risk rules, BIN tables and endpoints in the store: versions that never change, and which of them is in force."""

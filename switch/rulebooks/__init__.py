"""Risk rules and BIN tables in the store: versions that never change, and which of them is in force."""

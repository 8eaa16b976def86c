"""The life of one transaction, read from the journal: what happened when, and where the money is now."""

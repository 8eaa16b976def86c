"""Who works at the back office, and what each may do."""

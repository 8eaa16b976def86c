"""Changes that need two people: one proposes, another approves, and both are in the audit."""

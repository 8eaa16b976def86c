"""What the switch owes issuers, for the operator. Nothing in it is for other compiled modules."""

"""What the state machine holds: transactions, the duplicate window, links, listeners, store-and-forward entries."""

"""Merchants and terminals, from the application to the last day: who may take cards, where, and on what terms."""

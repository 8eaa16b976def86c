"""Both sides of the conversation, simulated: issuers that keep a ledger, and terminals that keep their receipts.

They speak through the project's own dialects, framing and MAC, over real sockets, and check what they receive. When a
run is over, ledgers and receipts can be compared to the last transaction.
"""

"""Store-and-forward: reversals and advices that issuers are owed, sent until they are acknowledged."""

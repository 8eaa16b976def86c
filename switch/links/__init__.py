"""Links held out of service by people: which, what is kept from their issuers, since when and why."""

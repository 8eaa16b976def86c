"""The whole system on one machine: the real switch as a child process, simulated issuers and terminals around it."""

"""What a request is looked up in: registry, routes, risk rules, time windows, stand-in; and their files."""

"""Real daemons killed, cut off and let down by their disk, until every transaction is accounted for."""

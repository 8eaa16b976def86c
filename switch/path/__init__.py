"""A transaction's life, step by step: request, answer, outcome, reversals, advices, network management."""

"""Merchants' applications: plans on offer, forms, checks and decisions, until the first payment and after it."""

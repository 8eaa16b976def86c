"""Measurements: each part beside its peer, the whole switch beside a relay in C."""

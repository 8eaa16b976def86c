"""The mesh's records as Python values, for who has none of the hot path's hurry: HELLOs, tests, people."""

"""Looks up what is asked of the journal: originals, and what became of requests that keepers ask for."""

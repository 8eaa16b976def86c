"""One message for a person: opened with its fields explained, or written from them."""

"""The books: what the journals say of money, as double entries; posted once, never changed, made anew from nothing."""

"""Bytes and messages: frames, specifications, scanning, decoding, encoding, and composing one message from another."""

"""authswitch: a high-throughput ISO 8583 payment authorization switch."""

__version__ = "0.1.0"

"""Fuzz targets of the hot path, guided by the coverage of the compiled code.

``python -m tests.fuzz scan --seconds 3600`` builds what is needed (clang) and runs one; see docs/testing.md.
"""

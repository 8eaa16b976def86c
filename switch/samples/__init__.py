"""Sample configurations that work: found, copied into a new folder, and given keys and certificates of their own.

The samples are the folder ``configs`` of the source tree; in an installed package they lie beside this file.
"""

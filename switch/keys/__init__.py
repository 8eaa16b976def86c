"""Keys: what they are called, how they are kept sealed in a file, and how they travel to terminals and issuers."""

from switch.keys.file import KeyFile, KeySource
from switch.keys.key import Key
from switch.keys.master import load_master_key
from switch.keys.names import ALGORITHMS, USAGES
from switch.keys.problems import KeyFileError

__all__ = ["ALGORITHMS", "USAGES", "Key", "KeyFile", "KeyFileError", "KeySource", "load_master_key"]

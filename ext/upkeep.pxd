"""What keeps a recovery short: the lowest position that is still needed, and old debts written down once more."""

from libc.stdint cimport int64_t
from switch.commit cimport JournalFiles
from switch.state cimport State

"""What one worker has heard of the others' journals, while it runs."""

cimport cython
from libc.stdlib cimport calloc, free


@cython.final
cdef class JournalsHeard:
    """The newest journal of each partition that was heard of.

    Args:
        partitions: How many there are.
    """

    def __cinit__(self, uint32_t partitions):
        self._newest = <MeshJournal *>calloc(partitions + 1, sizeof(MeshJournal))
        if self._newest == NULL:
            raise MemoryError
        self._count = partitions

    def __dealloc__(self):
        free(self._newest)

    cdef void note(self, const MeshJournal *journal) noexcept nogil:
        """An owner says how far its journal is durable."""
        cdef MeshJournal *newest
        if journal.partition >= self._count:
            return
        newest = &self._newest[journal.partition]
        if journal.epoch > newest.epoch:
            newest[0] = journal[0]
        elif journal.epoch == newest.epoch and journal.life == newest.life and journal.position > newest.position:
            newest.position = journal.position

    def refusal(self, uint32_t partition, epoch, uint32_t life, began):
        """Why the journal of an owner is older than what was heard of, in words; empty where it is not."""
        cdef const MeshJournal *newest = &self._newest[min(partition, self._count)]
        if newest.epoch == 0:
            return ""
        if epoch < newest.epoch:
            return f"epoch {epoch} is older than {newest.epoch}"
        if epoch == newest.epoch:
            return "" if life == newest.life else f"two journals have epoch {epoch}"
        if began < newest.position:
            return f"it ended at position {began}, and {newest.position} was durable before"
        return ""

    def newest(self, uint32_t partition):
        """Epoch, life, and highest position that was durable in it; zeros where nothing was heard of."""
        cdef const MeshJournal *newest = &self._newest[min(partition, self._count)]
        return newest.epoch, newest.life, newest.position

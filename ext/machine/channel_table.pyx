"""The connections of a worker, by slot: what the state machines of all its partitions answer on."""

cimport cython
from switch.base.invariant cimport ensure


@cython.final
cdef class ChannelTable:
    """Connections that stand, of terminals and links: found by slot and generation, so that no answer reaches who came
    after."""

    def __init__(self):
        self.by_slot = []
        self.owners = []
        self._free_slots = []
        self._next_generation = 1
        self.dirty = []

    @property
    def open_count(self):
        """Connections that stand."""
        return len(self.by_slot) - len(self._free_slots)

    cdef StateOwner enroll(self, DuplicateWindow outcomes, Journal journal):
        """A state machine whose frames will leave on these connections."""
        cdef StateOwner owner = StateOwner(len(self.owners), outcomes, journal)
        self.owners.append(owner)
        return owner

    cdef void enroll_other(self, FrameOwner owner):
        """Somebody else whose frames will leave on them."""
        owner.number = <uint32_t>len(self.owners)
        self.owners.append(owner)

    cdef void enlist(self, Channel channel):
        """Give a channel its slot; from here on answers can find it."""
        ensure(not channel.is_open, b"a channel is enlisted once")
        if self._free_slots:
            channel.slot = self._free_slots.pop()
            ensure(self.by_slot[channel.slot] is None, b"a channel's slot is free before it")
            self.by_slot[channel.slot] = channel
        else:
            channel.slot = len(self.by_slot)
            self.by_slot.append(channel)
        channel.generation = self._next_generation
        self._next_generation = (self._next_generation + 1) & 0xFFFFFFFF
        channel.owners = self.owners
        channel.is_open = True

    cdef void delist(self, Channel channel):
        """Take a channel's slot back: no answer finds it any more."""
        ensure(channel.is_open and self.by_slot[channel.slot] is channel, b"a channel gives its own slot back")
        channel.is_open = False
        self.by_slot[channel.slot] = None
        self._free_slots.append(channel.slot)

    cdef void wake(self, Channel channel):
        """Have the channel's owner look at it: there is output, or it may read on."""
        if not channel.is_dirty:
            channel.is_dirty = True
            self.dirty.append(channel)

    cdef list take_dirty(self):
        """Those that were woken; the next ones are in a new list."""
        cdef list woken = self.dirty
        if woken:
            self.dirty = []
        return woken

    cdef Channel at(self, uint32_t slot, uint32_t generation):
        """The channel that had this slot and generation, None when it is gone."""
        cdef Channel channel
        if slot >= <uint32_t>len(self.by_slot):
            return None
        channel = <Channel>self.by_slot[slot]
        if channel is None or channel.generation != generation or not channel.is_open:
            return None
        return channel

"""Which partition decides what, and whose state machine that is."""

cimport cython


@cython.final
cdef class Partitions:
    """The state machines of one worker.

    Args:
        states: At least one, each of another partition.
        count: Partitions of the whole switch.
    """

    def __init__(self, list states not None, uint32_t count=1):
        cdef State state
        self.count = count
        self.states = states
        self._by_number = [None] * count
        for state in states:
            if state.partition >= count or self._by_number[state.partition] is not None:
                raise ValueError(f"partition {state.partition} of {count} is given twice, or is none")
            self._by_number[state.partition] = state
        if not states:
            raise ValueError("a worker has one partition at least")
        for number, state in enumerate(states):
            if state.owner.number != number:
                raise ValueError("the state machines of a worker are made in their order, on one table of channels")
        self.host = states[0]

    cdef State at(self, uint32_t number):
        """The state machine of a partition; None where it is not here."""
        return <State>self._by_number[number]

    cdef State of_stan(self, uint32_t stan):
        """Who has given a STAN to an issuer; None where that is not here, or it is nobody's of this switch."""
        cdef State state
        for state in self.states:
            if state.numbering.stan_first <= stan < state.numbering.stan_first + state.numbering.stan_count:
                return state
        return None

"""How much of what must be given back is in use: counted by the modules that hold it, read by tests."""

from libc.stdint cimport int64_t

cdef struct Live:
    int64_t channels
    int64_t output_bytes        # of the channels' buffers
    int64_t frame_bytes         # of unfinished frames
    int64_t message_blocks      # of transactions whose messages are larger than their place in the pool
    int64_t reversals           # owed, each with the message that it reverses
    int64_t composers
    int64_t states

cdef Live live

"""How much of what must be given back is in use: counted by the modules that hold it, read by tests.

A counter costs one addition where memory is taken or given back, so that it can always be on. All of them belong to
the thread of the event loop.
"""


def live_counts():
    """What is in use in this process, by name.

    ``channels``, ``composers`` and ``states`` are objects; ``output_bytes`` and ``frame_bytes`` are memory of channels;
    ``message_blocks`` and ``reversals`` are blocks of memory in tables.
    """
    return live

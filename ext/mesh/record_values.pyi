"""The mesh's records as Python values, for who has none of the hot path's hurry: HELLOs, tests, people.

Names of types are those of ``docs/mesh.md``, in small letters, and each type has these values:

==================== =================================================================================================
``hello``            worker, partitions, digest, node, asks, owned (a dictionary: epoch, life, position by partition)
``terminal_open``    slot, generation, listener, peer, name
``terminal_frame``   slot, generation, partition, headers, message
``terminal_closed``  slot, generation, told
``answer``           slot, generation, frame
``told``             slot, generation, told
``handled``          slot, generation, handled, in_flight
``hang_up``          slot, generation, reason
``link_send``        link, frame
``link_frame``       link, headers, message
``link_state``       link, state, connections
``ping``, ``pong``   token
``counted``          number, link, amount_minor, age_ms, currency, transaction_kind, is_stand_in, is_taken_back,
                     is_declined, entry_mode, pan (digits), terminal (8 bytes), merchant (15 bytes)
``counts_taken``     next
``outstanding``      link, currency, amount_minor
``journal``          partition, epoch, life, position
==================== =================================================================================================
"""

from typing import Any

from typing_extensions import Buffer

RECORD_BYTES_MAX: int
SPOKEN_VERSION: int

def encode_record(kind: str, room: int = ..., **values: Any) -> bytes:
    """One record. Sizes of ``room`` bytes are allowed, padding included.

    Raises:
        ValueError: there is no such type, there is not room enough, or a value is none that the protocol allows.
        TypeError: a value is missing, not of this type, or of another Python type.
    """

def decode_record(data: Buffer, size_max: int = ...) -> tuple[str, dict[str, Any], int] | None:
    """The record at the beginning of bytes: type, values, and its size; None when it is not all there.

    Raises:
        MeshRecordError: these bytes are no record.
    """

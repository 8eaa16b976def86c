"""What readers of the mesh's records share: numbers are copied once, then checked, and the copy is used."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.base.invariant cimport ensure
from switch.mesh.records cimport (
    MESH_COMPLETE, MESH_FAULT_NOT_ZERO, MESH_FAULT_TEXT, MESH_FAULT_TOO_LARGE, MESH_FAULTY, MESH_TAKEN, MeshFault,
)
from switch.wire.cursor cimport Reader, reader_take


cdef inline int refuse(MeshFault *fault, uint8_t code, size_t position, uint64_t needed,
                       uint64_t available) noexcept nogil:
    fault.code = code
    fault.position = <uint32_t>position
    fault.needed = needed
    fault.available = available
    return MESH_FAULTY


cdef inline int zeros(const uint8_t *bytes, size_t size, size_t position, MeshFault *fault) noexcept nogil:
    """Whether bytes that stand at ``position`` of the record, or are copied from there, are zeros; else a fault."""
    cdef size_t i
    cdef uint8_t byte
    for i in range(size):
        byte = bytes[i]
        if byte != 0:
            return refuse(fault, MESH_FAULT_NOT_ZERO, position + i, 0, byte)
    return MESH_COMPLETE


cdef inline int at_most(uint64_t value, uint64_t most, size_t position, MeshFault *fault) noexcept nogil:
    if value > most:
        return refuse(fault, MESH_FAULT_TOO_LARGE, position, most, value)
    return MESH_COMPLETE


cdef inline int check_digits(const uint8_t *text, uint8_t size, uint32_t most, size_t position,
                             MeshFault *fault) noexcept nogil:
    """Whether a card number of ``size`` digits stands at ``position``, and zeros behind it."""
    cdef size_t i
    for i in range(size):
        if not b"0" <= text[i] <= b"9":
            return refuse(fault, MESH_FAULT_TEXT, position + i, 0, text[i])
    return zeros(text + size, most - size, position + size, fault)


cdef inline void take_body(Reader *reader, void *body, size_t size) noexcept nogil:
    """Copy the body, for which the record is known to be long enough."""
    cdef const uint8_t *at = NULL
    cdef bint is_there = reader_take(reader, size, &at) == 0
    ensure(is_there, b"a record is as long as its body")
    memcpy(body, at, size)
    MESH_TAKEN()

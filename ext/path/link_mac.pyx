"""Whether the MAC of an issuer's message is right, under the key of its link or the one that was replaced."""

from switch.base.stats cimport stats_add
from switch.crypto.mac cimport MAC_NONE
from switch.dialect.authentication cimport MAC_RIGHT, MAC_WRONG, mac_fault, verify_message
from switch.machine.note_queue cimport NOTE_LINK_MAC_FAILURE


cdef int _under_its_keys(State state, Link link) noexcept:
    cdef int verdict = verify_message(state.macs, link.tables, &link.mac_key, &state.answer)
    if verdict == MAC_WRONG and state.calendar.now_ns < link.former_until_ns and is_under_ended_key(state, link):
        stats_add(state.meters.stats, state.meters.link[link.number].under_former_key, 1)
        return MAC_RIGHT
    return verdict


cdef bint is_under_ended_key(State state, Link link) noexcept nogil:
    return (link.former_mac_key.algorithm != MAC_NONE
            and verify_message(state.macs, link.tables, &link.former_mac_key, &state.answer) == MAC_RIGHT)


cdef int link_verdict(State state, Link link) noexcept:
    cdef int verdict
    if link.mac_key.algorithm == MAC_NONE:
        return MAC_RIGHT
    verdict = _under_its_keys(state, link)
    if verdict == MAC_WRONG and link.connections.key_desk is not None and link.connections.key_desk.look_again():
        verdict = _under_its_keys(state, link)                 # another worker was told of the new one
    return verdict


cdef void tell_wrong_mac(State state, Link link, int verdict, uint32_t stan) noexcept:
    stats_add(state.meters.stats, state.meters.link[link.number].mac_failures, 1)
    mac_fault(link.tables, &state.answer, verdict, &state.fault)
    state.tell_fault(NOTE_LINK_MAC_FAILURE, link.number, NULL, stan)

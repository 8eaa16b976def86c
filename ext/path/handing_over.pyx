"""Requests whose partition is another worker's: handed over, kept a short while when it is not there, then given up."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.mesh.peer cimport Peer
from switch.mesh.records cimport Span
from switch.path.request cimport count_request, is_genuine, refuse_unreachable
from switch.wire.scan cimport scan_message


cdef void hand_over(State host, Mesh mesh, TerminalChannel channel, const Frame *frame, int partition) noexcept:
    cdef Span headers, message
    headers.at, headers.size = frame.headers, channel.listener.framing.headers_size
    message.at, message.size = frame.message, frame.message_size
    if mesh.give(channel, <uint32_t>partition, headers, message):
        return
    # Nobody takes a place of those that wait in another's name; and who drains begins to wait for nothing.
    if not is_genuine(host, channel, frame.headers):
        count_request(host, channel)
    elif host.draining or not mesh.keep(channel, <uint32_t>partition, headers, message, host.calendar.now_ns):
        mesh.note_refused(<uint32_t>partition)
        refuse_unreachable(host, channel, frame.headers)


cdef void give_what_waits(State host, Mesh mesh) noexcept:
    cdef Peer peer
    for peer in mesh.peers:
        if mesh.waiting[peer.number]:
            mesh.waiting[peer.number] = _still_waiting(host, mesh, peer)


cdef list _still_waiting(State host, Mesh mesh, Peer peer):
    """Give a peer what waits for it, in its order; give up what has waited too long; what is left."""
    cdef TerminalChannel channel
    cdef bytes headers_kept, message_kept
    cdef Span headers, message
    cdef int64_t until_ns
    cdef uint32_t partition
    cdef list left = []
    cdef bint is_over
    for one in mesh.waiting[peer.number]:
        channel, partition, headers_kept, message_kept, until_ns = one
        headers.at, headers.size = <const uint8_t *><const char *>headers_kept, len(headers_kept)
        message.at, message.size = <const uint8_t *><const char *>message_kept, len(message_kept)
        if channel.is_open:
            is_over = host.calendar.now_ns >= until_ns
            if not is_over and (left or not peer.hand_over(channel, partition, headers, message)):
                left.append(one)
                continue
            if is_over and scan_message(channel.listener.tables.spec, message.at, message.size, &host.request,
                                        &host.fault) == 0:
                mesh.note_refused(partition)
                refuse_unreachable(host, channel, headers.at)
        channel.in_flight -= 1
        peer.kept_bytes -= message.size
        host.channels.wake(channel)
    return left

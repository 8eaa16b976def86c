"""Requests whose partition is another worker's: handed over, kept a short while when it is not there, then given up."""

from libc.stdint cimport uint32_t
from switch.mesh.mesh cimport WaitingFrame
from switch.mesh.peer cimport Peer
from switch.mesh.records cimport Span
from switch.path.identity cimport NOT_REFUSED, identify
from switch.path.request cimport count_request, is_genuine, refuse_unreachable
from switch.wire.scan cimport scan_message


cdef void hand_over(State host, Mesh mesh, TerminalChannel channel, const Frame *frame, int partition) noexcept:
    cdef Span headers, message
    headers.at, headers.size = frame.headers, channel.listener.framing.headers_size
    message.at, message.size = frame.message, frame.message_size
    # Strangers are refused here: their messages are no load of others.
    if (identify(host, channel, False) == NOT_REFUSED
            and mesh.give(channel, <uint32_t>partition, headers, message)):
        return
    # Nobody takes a place of those that wait in another's name; and who drains begins to wait for nothing.
    if not is_genuine(host, channel, frame.headers):
        count_request(host, channel)
    elif host.draining or not mesh.keep(channel, <uint32_t>partition, host.inbound.terminal_number, headers, message,
                                        host.calendar.now_ns):
        mesh.note_refused(<uint32_t>partition)
        refuse_unreachable(host, channel, frame.headers)


cdef void give_what_waits(State host, Mesh mesh) noexcept:
    cdef Peer peer
    for peer in mesh.peers:
        if mesh.waiting[peer.number]:
            mesh.waiting[peer.number] = _still_waiting(host, mesh, peer)


cdef list _still_waiting(State host, Mesh mesh, Peer peer):
    """Give a peer what waits for it, in its order; give up what has waited too long; what is left."""
    cdef WaitingFrame frame
    cdef list left = []
    cdef bint is_over
    for frame in mesh.waiting[peer.number]:
        if frame.channel.is_open:
            is_over = host.calendar.now_ns >= frame.until_ns
            if not is_over and (left or not peer.hand_over(frame.channel, frame.partition, frame.headers,
                                                           frame.message)):
                left.append(frame)
                continue
            if is_over and scan_message(frame.channel.listener.tables.spec, frame.message.at,
                                        <uint32_t>frame.message.size, &host.request, &host.fault) == 0:
                mesh.note_refused(frame.partition)
                refuse_unreachable(host, frame.channel, frame.headers.at)
        mesh.let_go(peer, frame)
        host.channels.wake(frame.channel)
    return left

"""TLS between nodes: how a connection begins, and whether our own certificate would be taken there."""

from __future__ import annotations

import ssl

from switch.base.error_words import words_of
from switch.config.mesh_sections import MeshSection


def mesh_context(mesh: MeshSection, protocol: ssl._SSLMethod) -> ssl.SSLContext:
    """TLS of one side of all connections: both sides show a certificate, whose name is looked at by the caller.

    Args:
        mesh: Whose files.
        protocol: PROTOCOL_TLS_SERVER for who is called, PROTOCOL_TLS_CLIENT for who calls.

    Raises:
        OSError: A file cannot be used.
    """
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # a name of a node, not of a host: it is looked at when both have shown theirs
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(mesh.certificate, mesh.private_key)
    context.load_verify_locations(mesh.ca)
    return context


def refusal_of_our_own(mesh: MeshSection) -> str:
    """Why a node with the same authority would not take our certificate; empty when it would.

    Calls itself in memory: each side of the connection is refused or taken as it would be by another node.
    """
    to_caller, to_called = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        sides = [
            mesh_context(mesh, ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_caller, to_called),
            mesh_context(mesh, ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_called, to_caller, server_side=True),
        ]
        waiting = True
        while waiting:
            waiting = [_is_waiting(side) for side in sides] != [False, False]
    except OSError as error:
        return words_of(error)
    return ""


def _is_waiting(side: ssl.SSLObject) -> bool:
    """Go on with a handshake; whether more must come from the other side.

    Raises:
        OSError: It has failed.
    """
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return True
    return False

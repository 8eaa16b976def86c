"""TLS on connections: real sockets, the standard library's TLS at the far end."""

import contextlib
import os
import socket
import ssl
from pathlib import Path

import pytest

from switch.io.tls import TlsContext, TlsError, TlsStream
from tests.ext.wire import Wire
from tests.ext.world import link, listener, purchase
from tests.system.certificates import Authority

NOBODYS_CARD = "4111111111111111"
HANDSHAKE, CLIENT_KEY_EXCHANGE = 22, 16  # RFC 5246, 6.2.1 and 7.4


@pytest.fixture
def wire(world):
    wire = Wire(world)
    yield wire
    assert not wire.loop.mistakes
    wire.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def own(authority):
    """Files of the switch's certificate and its key."""
    return authority.issue("switch", "switch", ["localhost"])


@pytest.fixture(scope="module")
def context(own):
    return server(own)


def server(own, **changes):
    settings = {"minimum_version": "1.2", "peer_must_prove": False, **changes}
    return TlsContext(is_server=True, certificate=own[0], private_key=own[1], **settings)


class Client:
    """The far end's TLS, of memory."""

    def __init__(self, authority, version=None):
        rules = authority.client_context()
        if version is not None:
            rules.minimum_version = rules.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = rules.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def pump(self, end):
        """Take what the socket has and give what it shall have; False when the other side is gone."""
        if self.outgoing.pending:
            end.sendall(self.outgoing.read())
        try:
            data = end.recv(1 << 20)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self.incoming.write(data)
        return bool(data)

    def shake(self, end):
        """Go on with the handshake; whether it is done."""
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            self.pump(end)
            return False
        self.pump(end)
        return True

    def encipher(self, data):
        self.session.write(data)
        return self.outgoing.read()

    def decipher(self, end):
        """What is there to read; None at the end of the stream."""
        self.pump(end)
        try:
            return self.session.read(1 << 20) or None
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            return None


def secured(wire, authority, context, version=None, receive_bytes=None, ends=None):
    """A terminal over TLS: its far end, and the client's session."""
    far, near = ends or wire.pair(receive_bytes)
    peer, client = wire.terminal_at(far), Client(authority, version)
    handshake = peer.connection.secure(near.detach(), TlsStream(context))
    wire.until(lambda: client.shake(far) and handshake.done())
    assert handshake.exception() is None
    return peer, client


def answers(peer, client, count):
    """So many answers, deciphered."""
    data = bytearray()
    found = []

    def all_there():
        data.extend(client.decipher(peer.socket) or b"")
        found.extend(peer.decode(bytes(data)))
        data.clear()
        return len(found) == count

    peer.wire.until(all_there)
    return found


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@VERSIONS
def test_record_is_whole_however_it_is_cut(world, wire, authority, context, version):
    """A record in two pieces, cut at each of its bytes, each piece read in a turn of its own."""
    peer, client = secured(wire, authority, context, version)
    frame = peer.frames([purchase(world, f2=NOBODYS_CARD)])
    record = client.encipher(frame)
    size = len(record)
    peer.socket.sendall(record)
    answers(peer, client, 1)
    for place in range(1, size):
        record = client.encipher(frame)
        assert len(record) == size
        peer.socket.sendall(record[:place])
        wire.turn()
        peer.socket.sendall(record[place:])
        (answer,) = answers(peer, client, 1)
        assert answer["39"] == "91", place


@VERSIONS
def test_many_messages_in_one_record_and_many_records_at_once(world, wire, authority, context, version):
    peer, client = secured(wire, authority, context, version)
    frame = peer.frames([purchase(world, f2=NOBODYS_CARD)])
    peer.socket.setblocking(True)
    peer.socket.sendall(client.encipher(frame * 60))
    peer.socket.sendall(b"".join(client.encipher(frame) for _ in range(400)))
    peer.socket.setblocking(False)
    assert {answer["39"] for answer in answers(peer, client, 460)} == {"91"}


def test_what_the_kernel_does_not_take_leaves_later(world, wire, authority, context):
    """Nothing that is under way in half a record counts as told, and nothing is lost or doubled."""
    peer, client = secured(wire, authority, context, receive_bytes=4096)
    frame = peer.frames([purchase(world, f2=NOBODYS_CARD)])
    sent = 0
    while not peer.channel.waiting_bytes:
        peer.socket.sendall(client.encipher(frame * 20))
        sent += 20
        wire.turn(3)
    assert len(answers(peer, client, sent)) == sent
    wire.until(lambda: not peer.channel.waiting_bytes)
    assert not peer.lost


def test_approval_in_a_record_that_has_left_was_told_though_a_later_one_has_not(make_world, authority, context):
    """More output than a record holds, and the terminal dies when it has read the first: what it saw must stand."""
    room = 400
    world = make_world(
        listeners=[listener("iso", "iso87-ascii", requests_in_flight_max=room)],
        links=[link("bank-a", "iso87-ascii", in_flight_max=room)],
        routes=["6,,,,,,bank-a:1"],
        limits={
            "transactions_in_flight_max": room,
            "duplicate_window_count_max": 2 * room,
            "reversals_max": 2 * room,
        },
    )
    with contextlib.closing(Wire(world)) as wire:
        far, near = wire.pair(4096)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        peer, client = secured(wire, authority, context, ends=(far, near))
        issuer = wire.issuer()
        wire.turn()
        asked = []
        for _ in range(room // 40):
            far.sendall(client.encipher(peer.frames(purchase(world) for _ in range(40))))
            wire.turn(5)
        wire.until(lambda: asked.extend(issuer.read()) or len(asked) == room)
        world.syncs = False
        for one in asked:
            issuer.answer(one)
            wire.turn()
        wire.until(lambda: world.engine.state.duplicates.untold == room)
        world.sync()
        wire.reactor.flush_gated()
        seen = set()
        for _ in range(20):
            seen |= {answer["37"] for answer in peer.decode(client.decipher(far) or b"")}
        assert 0 < len(seen) < room
        peer.reset()
        world.syncs = True
        wire.until(lambda: peer.lost)
        reversed_ones = set()
        while world.engine.owed:
            for one in issuer.read():
                issuer.answer(one)
                reversed_ones.add(one["37"])
            wire.turn()
        assert reversed_ones
        assert not seen & reversed_ones


def test_connection_is_closed_without_waiting_for_the_peers_word(world, wire, authority, context):
    peer, client = secured(wire, authority, context)
    assert peer.channel.is_open
    peer.connection.hang_up("enough")
    wire.turn(2)
    assert peer.lost == ["enough"]
    assert client.decipher(peer.socket) is None  # a word of goodbye, not only the end of the line


@VERSIONS
def test_goodbye_of_the_peer_ends_both_sides(wire, authority, context, version):
    peer, client = secured(wire, authority, context, version)
    with pytest.raises(ssl.SSLWantReadError):
        client.session.unwrap()
    client.pump(peer.socket)
    wire.until(lambda: peer.lost)
    assert peer.lost == ["closed by peer"]


def test_record_that_was_tampered_with_ends_the_connection(world, wire, authority, context):
    peer, client = secured(wire, authority, context)
    record = bytearray(client.encipher(peer.frames([purchase(world)])))
    record[-1] ^= 1
    peer.socket.sendall(record)
    wire.until(lambda: peer.lost)
    assert "bad record mac" in peer.lost[0]
    assert world.count("requests_total", listener="iso") == 0


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" + bytes(300)])
def test_handshake_fails_for_one_who_does_not_speak_tls(wire, context, rubbish):
    far, near = wire.pair()
    peer = wire.terminal_at(far)
    handshake = peer.connection.secure(near.detach(), TlsStream(context))
    far.sendall(rubbish)
    wire.until(handshake.done)
    assert isinstance(handshake.exception(), TlsError)
    wire.turn(2)
    wire.until(lambda: _is_over(far))
    assert peer.lost == []
    assert not peer.connection.was_open


def _is_over(far):
    try:
        return far.recv(100) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("how", ["close", "reset", "shut"])
def test_handshake_fails_for_one_who_goes_in_the_middle(wire, authority, context, how):
    far, near = wire.pair()
    peer, client = wire.terminal_at(far), Client(authority)
    handshake = peer.connection.secure(near.detach(), TlsStream(context))
    assert not client.shake(far)
    wire.turn()
    if how == "reset":
        peer.reset()
    elif how == "close":
        far.close()
    else:
        far.shutdown(socket.SHUT_WR)
    wire.until(handshake.done)
    assert isinstance(handshake.exception(), OSError)


def test_terminal_that_resets_behind_its_last_word_ends_its_own_connection_alone(wire, authority, context):
    """With TLS 1.2 the switch speaks last: what the terminal said is read, and the answer cannot leave any more."""
    far, near = wire.pair()
    peer, client = wire.terminal_at(far), Client(authority, ssl.TLSVersion.TLSv1_2)
    handshake = peer.connection.secure(near.detach(), TlsStream(context))
    for _ in range(100):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.session.do_handshake()
        if (data := client.outgoing.read()) and data[0] == HANDSHAKE and data[5] == CLIENT_KEY_EXCHANGE:
            break
        far.sendall(data)
        wire.turn()
        with contextlib.suppress(BlockingIOError):
            client.incoming.write(far.recv(1 << 20))
    far.sendall(data)
    _ends_alone(wire, peer, handshake)


def test_issuer_that_resets_behind_its_last_word_ends_its_own_connection_alone(wire, own):
    """Whoever calls speaks last with TLS 1.3."""
    far, near = wire.pair()
    peer = wire.issuer_at(far)
    anybody = TlsContext(is_server=False, minimum_version="1.2", peer_must_prove=False)
    handshake = peer.connection.secure(near.detach(), TlsStream(anybody))
    wire.turn(3)
    rules = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    rules.load_cert_chain(*own)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = rules.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(far.recv(1 << 20))
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    far.sendall(outgoing.read())
    _ends_alone(wire, peer, handshake)


def _ends_alone(wire, peer, handshake):
    peer.reset()
    wire.until(handshake.done)
    assert isinstance(handshake.exception(), ConnectionError)
    wire.turn(2)
    assert not peer.connection.was_open


def test_connection_whose_socket_could_not_be_watched_can_be_given_up(tmp_path, wire, context):
    far, near = wire.pair()
    near.close()
    peer = wire.terminal_at(far)
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="not permitted"):
        peer.connection.secure(os.dup(file.fileno()), TlsStream(context))
    peer.connection.abort("handshake failed")
    wire.turn(2)
    assert peer.lost == []


def test_handshake_that_is_given_up_leaves_nothing(wire, context):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        far, near = wire.pair()
        peer = wire.terminal_at(far)
        peer.connection.secure(near.detach(), TlsStream(context))
        wire.turn()
        peer.connection.abort("handshake failed")
        wire.turn(2)
        far.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("name", "certificate", "is_right"),
    [
        ("localhost", ["localhost"], True),
        ("LOCALHOST", ["localhost"], True),
        ("bank.example", ["localhost"], False),
        ("host.bank.example", ["*.bank.example"], True),
        ("host.bank.example", ["*.example"], False),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("127.0.0.2", ["127.0.0.1"], False),
        ("127.0.0.1", ["localhost"], False),
    ],
)
def test_name_of_the_one_that_we_call(tmp_path, wire, name, certificate, is_right):
    authority = Authority(tmp_path, "authority")
    far, near = wire.pair()
    peer = wire.terminal_at(far)
    rules = TlsContext(is_server=False, minimum_version="1.2", ca=authority.certificate, peer_must_prove=True)
    handshake = peer.connection.secure(near.detach(), TlsStream(rules, name))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = authority.server_context(authority.issue("bank", "bank", certificate))
    bank = Client.__new__(Client)
    bank.incoming, bank.outgoing = incoming, outgoing
    bank.session = theirs.wrap_bio(incoming, outgoing, server_side=True)

    def is_done():
        with contextlib.suppress(ssl.SSLError):
            bank.shake(far)
        return handshake.done()

    wire.until(is_done)
    if is_right:
        assert handshake.exception() is None
        assert peer.connection.tls.peer_certificate
    else:
        assert "certificate verify failed" in str(handshake.exception())


def test_peer_that_shows_no_certificate_has_none(wire, authority, context):
    peer, _ = secured(wire, authority, context)
    assert peer.connection.tls.peer_certificate is None


def test_files_that_cannot_be_used_are_named(tmp_path, own, authority):
    other = authority.issue("other", "other", ["localhost"])
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for files, named in (
        ((tmp_path / "absent.pem", own[1]), "absent.pem"),
        ((own[0], tmp_path / "absent.key"), "absent.key"),
        ((broken, own[1]), "broken.pem"),
        ((own[0], broken), "broken.pem"),
        ((own[0], other[1]), Path(other[1]).name),
    ):
        with pytest.raises(OSError, match=named):
            server(files)
    with pytest.raises(OSError, match=r"broken\.pem"):
        server(own, ca=broken)


def test_key_that_wants_a_password_is_refused_without_asking(tmp_path, own):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(Path(own[1]).read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(OSError, match=r"locked\.key"):
        server((own[0], locked))

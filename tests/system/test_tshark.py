"""Wireshark's dissector for ISO 8583 reads the ASCII traffic as we mean it.

Not every machine lets tests capture packets, so the bytes are written down on their way and made into a capture.
"""

import asyncio
import contextlib
import json

from .conftest import running
from .installation import CARDS, TERMINALS, profile_of
from .terminal import Terminal

OPTIONS = ("len_endian:Big endian", "charset:Digits represented as ASCII Characters")
BINARY_AS_HEX = "binencode:Bin data represented as Hex Ascii characters"


async def tool(*command):
    """Run a command; what it wrote."""
    child = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    written, errors = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 0, errors.decode()
    return written.decode()


class Relay:
    """Stands between client and switch, and writes down what passes."""

    def __init__(self, port):
        self._port = port
        self.chunks = []

    async def serve(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        with contextlib.closing(writer), contextlib.closing(inner_writer):
            await asyncio.gather(self._pass(reader, inner_writer, "I"), self._pass(inner_reader, writer, "O"))

    async def _pass(self, reader, writer, direction):
        while data := await reader.read(65_536):
            self.chunks.append((direction, data))
            writer.write(data)
        writer.write_eof()

    def hex_dump(self):
        """As text2pcap reads it."""
        return "".join(
            f"{direction}\n" + "".join(f"{at:06x} {data[at : at + 16].hex(' ')}\n" for at in range(0, len(data), 16))
            for direction, data in self.chunks
        )


@contextlib.asynccontextmanager
async def captured(port, file):
    """Write down what passes to and from a port; gives the port to call instead, and leaves a capture in ``file``."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    dump = file.with_suffix(".txt")
    dump.write_text(relay.hex_dump())
    await tool("text2pcap", "-q", "-D", "-T", f"40000,{port}", dump, file)


async def dissected(file, port):
    """The messages in a capture as tshark reads them: number of the field, and its text."""
    options = [word for option in (*OPTIONS, BINARY_AS_HEX) for word in ("-o", f"iso8583.{option}")]
    text = await tool("tshark", "-r", file, "-d", f"tcp.port=={port},iso8583", *options, "-Y", "iso8583", "-T", "json")
    messages = []
    for packet in json.loads(text):
        found = packet["_source"]["layers"]["iso8583"]
        messages += map(fields_of, found if isinstance(found, list) else [found])
    return messages


def fields_of(layer):
    fields = {}
    for name, value in layer.items():
        key = name.removeprefix("iso8583.")
        if key == "mti":
            fields["t"] = value
        elif key.startswith("bit") and key != "bit1":
            fields[key.removeprefix("bit")] = value
        elif isinstance(value, dict):
            fields.update(fields_of(value))
    return fields


async def test_tshark_reads_the_same_fields(installation, tmp_path):
    bank = installation.issuer()
    installation.listener("ascii", "iso87-ascii")
    installation.link(port=await bank.listen())
    file = tmp_path / "loopback.pcap"
    sent = []
    async with running(installation) as daemon:
        port = daemon.ports["ascii"]
        async with (
            captured(port, file) as called,
            await Terminal.connect(installation, called, "iso87-ascii") as terminal,
        ):
            for request in (
                installation.request("iso87-ascii", terminal=TERMINALS[0], amount_minor=12_34),
                installation.request("iso87-ascii", kind="balance_inquiry", terminal=TERMINALS[1], amount_minor=0),
                installation.request("iso87-ascii", terminal=TERMINALS[2], card=CARDS["bank-b"]),
                terminal.profile.network_request("echo_test", "000099", terminal=TERMINALS[3]),
            ):
                terminal.send(request)
                _, answer, _ = await terminal.receive()
                sent += [request, answer]
        found = await dissected(file, port)
    await bank.stop()
    assert len(found) == len(sent)
    for fields, data in zip(found, sent, strict=True):
        message = profile_of("iso87-ascii").scan(data)
        expected = {"t": message.mti} | {str(number): message.text(number) for number in message.fields}
        assert {key: value.rstrip().upper() for key, value in fields.items()} == {
            key: value.rstrip() for key, value in expected.items()
        }

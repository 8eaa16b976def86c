"""Secrets of cards in traffic to a real daemon: what its admin side, its log and its memory hold of them afterwards."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from switch.demo.world import sample_pan
from switch.simulators.scenario import PaymentCard

from .conftest import running
from .installation import profile_of
from .terminal import Terminal
from .unruly import one_bank

REST = "30121017719283746"
"""Behind the separator of track 2: expiry, service code, and what only the card's issuer should know."""

NAME = "SECRETHOLDER/NOBODY"
SECURITY_CODE = "CVV2=8417"
PIN_BLOCK = "A1B2C3D4E5F60718"
CARDS = 20
ORDINARY = 400
"""Requests that follow, so that buffers are used again."""


def card(number):
    return PaymentCard(pan=sample_pan("622500", 7_700 + number))


def loaded(installation, number, **changes):
    """A purchase with a secret wherever the dialect has room for one."""
    piece = profile_of("iso87-ascii").writer.piece

    def change(pieces):
        pan = card(number).pan
        pieces[35] = piece(35, f"{pan}={REST}")
        pieces[45] = piece(45, f"B{pan}^{NAME}^{REST}")
        pieces[48] = piece(48, f"{SECURITY_CODE} {NAME}")
        pieces[52] = piece(52, PIN_BLOCK)

    return installation.request("iso87-ascii", card=card(number), change=change, **changes)


def forms(secret):
    """How it may lie in bytes: characters, packed digits of either parity, text in hex."""
    found = [secret.encode(), secret.encode().hex().upper().encode()]
    if re.fullmatch(r"[0-9A-F]+", secret):
        found += [bytes.fromhex(secret[: len(secret) & ~1]), bytes.fromhex(secret[1 : 1 + (len(secret) - 1 & ~1)])]
    return found


SECRETS = {"track": REST, "name": NAME, "security code": SECURITY_CODE, "PIN block": PIN_BLOCK}


async def serve_cards(installation, daemon):
    """Requests with secrets, good and refused ones; their codes."""
    async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
        codes = set()
        for number in range(CARDS):
            # The PIN block is none: what is refused goes other ways than what is forwarded.
            answer = await terminal.ask(loaded(installation, number))
            codes.add(answer.text(39))
        unsigned = await terminal.ask(loaded(installation, 0, signed=False))
        codes.add(unsigned.text(39))
        return codes


async def test_admin_side_and_log_tell_no_secret(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation), running(installation) as daemon:
        assert await serve_cards(installation, daemon)
        pan = card(1).pan
        paths = (
            "/status", "/metrics", "/livez", "/readyz", "/reversals", "/nothing", f"/{pan}", f"/status?card={pan}",
            f"/reversals?rrn={pan}", f"/reversals?link={pan}", "/reversals?limit=x", f"/{'%00' * 9}", "/" + "x" * 9_000,
        )  # fmt: skip
        said = [(await daemon.get(path))[1].encode() for path in paths]
        # Who sends what cannot be read hears it again, and nobody else does.
        await daemon.get(f"/{pan}" + "x" * 9_000)
        said.append(daemon.log.encode())
        for text in said:
            for what, secret in SECRETS.items():
                assert not any(form in text for form in forms(secret)), what
            assert not any(card(number).pan.encode() in text for number in range(CARDS))


def left_in_memory(pid):
    """How often each secret lies in the memory of a process."""
    found = dict.fromkeys(SECRETS, 0)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            begin, end = (int(number, 16) for number in place.split("-"))
            if not rights.startswith("rw") or "[v" in line:
                continue
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, OverflowError, ValueError):
                continue
            for what, secret in SECRETS.items():
                found[what] += sum(data.count(form) for form in forms(secret))
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of a daemon")
async def test_memory_holds_the_rest_of_one_message_at_most(installation):
    """What a shorter message left of a longer one in the send buffer, and no copy of any other card's."""
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation), running(installation) as daemon:
        await serve_cards(installation, daemon)
        async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
            for _ in range(ORDINARY):
                assert await terminal.code() == "00"
        found = left_in_memory(daemon.child.pid)
        # In one message a name and a track stand twice; receive and send buffer may each have the end of one.
        assert all(count <= 4 for count in found.values()), found

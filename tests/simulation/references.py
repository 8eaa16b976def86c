"""How terminals name what they void, refund, complete or take back; parts of that may be left out, or be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from switch.simulators.dialect_profile import Profile
    from switch.simulators.receipts import Receipt

    from .payment import Payment

ALL = "all that is known"
RRN, CUP_ORIGINAL, AUTHORIZATION_CODE = 37, 61, 38

FOLLOWERS = {"purchase": ("void", "void", "refund"), "preauthorization": ("completion", "preauthorization_void")}
"""By the kind of a payment: what may refer to it."""

REFERRING = (ALL, "reference number", "original data", "STAN and date")
ELSEWHERE = "reference number"
"""The way to name a payment of another terminal: its STAN may be that of one of its own."""

REVERSING = (ALL, "reference number", "original data", "another class", "another hour", "nothing")
OTHER_CLASSES = {"0200": "0100", "1200": "1100"}


def refer(pieces: dict[int, bytes], profile: Profile, way: str, original: Receipt) -> None:
    """Change what a void, refund or completion says of its original."""
    has_cup_original = CUP_ORIGINAL in pieces
    if not has_cup_original and profile.dialect.file.original_data is not None:
        pieces.update(_original_data(profile, original, profile.request_mti(original.kind), original.at))
    field = CUP_ORIGINAL if has_cup_original else _field(profile)
    if way == "reference number":
        pieces.pop(field, None)
    elif way != ALL:
        pieces.pop(RRN, None)
    if way == "STAN and date":
        pieces.pop(AUTHORIZATION_CODE, None)
        if not has_cup_original:
            pieces.update(_original_data(profile, original, "0000", "0" * 12))


def take_back(pieces: dict[int, bytes], profile: Profile, way: str, original: Receipt) -> None:
    """Change what a reversal says of its original."""
    field = _field(profile)
    if not field:  # a reversal of this dialect has the STAN of its original
        return
    mti = profile.request_mti(original.kind)
    if way in ("reference number", "nothing"):
        pieces.pop(field, None)
    if way in ("original data", "nothing", "another hour"):
        pieces.pop(RRN, None)
        pieces.pop(AUTHORIZATION_CODE, None)
    if way == "another class":
        pieces.update(_original_data(profile, original, OTHER_CLASSES.get(mti, mti), original.at))
    elif way == "another hour":
        hour = int(original.at[6:8])
        at = f"{original.at[:6]}{hour + 6 if hour < 18 else hour - 6:02d}{original.at[8:]}"
        pieces.update(_original_data(profile, original, mti, at))


def mistaken(payments: Sequence[Payment], is_known: Callable[[Payment], bool]) -> Payment | None:
    """A payment whose void was approved, and which its terminal takes back besides."""
    undone = [one.original for one in payments if one.original is not None and one.told and not one.is_given_up]
    undone = [one for one in undone if one.key.terminal == payments[0].key.terminal]
    return next((one for one in undone if is_known(one) and not (one.is_mistaken or one.is_reuse)), None)


def _field(profile: Profile) -> int:
    rules = profile.dialect.file.original_data
    return 0 if rules is None else rules.field


def _original_data(profile: Profile, original: Receipt, mti: str, at: str) -> dict[int, bytes]:
    """Field 90 or 56."""
    rules = profile.dialect.file.original_data
    assert rules is not None
    said = {"mti": mti, "11": original.stan, "7": at[2:], "12": at}
    text = ""
    for part in rules.parts:
        value = said.get(part.field, "")
        if part.length_digits:
            text += f"{len(value):0{part.length_digits}d}"
        text += value.rjust(part.size, "0")
    return {rules.field: profile.writer.piece(rules.field, text)}

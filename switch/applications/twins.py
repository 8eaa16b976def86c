"""Other applications in which something is the same: the person, the account, or the place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import asin, cos, pi, radians, sin, sqrt
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.engine import Connection

from switch.applications.checks import Twin
from switch.applications.forms import MILLION
from switch.applications.tables import APPLICATIONS
from switch.store.sealing import plain

EARTH_METRES = 6_371_000
METRES_OF_DEGREE = EARTH_METRES * pi / 180
CIRCLE = 360 * MILLION
QUARTER = 90 * MILLION
GIVEN_UP = ("withdrawn", "expired")
TWINS_MAX = 100


def twins_of(connection: Connection, row: Mapping[str, Any], near_metres: int) -> list[Twin]:
    """Others that share something with an application, those that were given up apart.

    Args:
        connection: Any transaction.
        row: The application.
        near_metres: So near is the same place.
    """
    found = [*_same_identity(connection, row), *_same_account(connection, row)]
    return found + list(_same_place(connection, row, near_metres))


def _same_identity(connection: Connection, row: Mapping[str, Any]) -> Iterator[Twin]:
    hashes = [row[name] for name in ("identity_hash", "representative_hash") if row[name] is not None]
    column = APPLICATIONS.c
    same = or_(column.identity_hash.in_(hashes), column.representative_hash.in_(hashes))
    return (Twin(one["id"], one["state"], "identity") for one in _others(connection, row, same))


def _same_account(connection: Connection, row: Mapping[str, Any]) -> Iterator[Twin]:
    same = APPLICATIONS.c.account_hash == row["account_hash"]
    return (Twin(one["id"], one["state"], "account") for one in _others(connection, row, same))


def _same_place(connection: Connection, row: Mapping[str, Any], near_metres: int) -> Iterator[Twin]:
    is_near: ColumnElement[bool] = APPLICATIONS.c.place == row["place"]
    if row["latitude_e6"] is not None:
        span = round(near_metres / METRES_OF_DEGREE * MILLION) + 1
        latitude, longitude = APPLICATIONS.c.latitude_e6, APPLICATIONS.c.longitude_e6
        is_near = or_(
            is_near,
            and_(
                latitude.between(row["latitude_e6"] - span, row["latitude_e6"] + span),
                or_(*(longitude.between(west, east) for west, east in _longitudes(row, span))),
            ),
        )
    for one in _others(connection, row, is_near):
        if plain(one["place"]) == plain(row["place"]) or metres_between(one, row) <= near_metres:
            yield Twin(one["id"], one["state"], "place")


def _longitudes(row: Mapping[str, Any], span: int) -> list[tuple[int, int]]:
    """Between which longitudes a place may be that is at most so many millionths of a degree away, in any direction."""
    narrow = cos(radians(min(abs(row["latitude_e6"]) + span, QUARTER) / MILLION))
    wide = min(round(span / narrow) + 1, 2 * QUARTER) if narrow > span / (2 * QUARTER) else 2 * QUARTER
    return [(row["longitude_e6"] + turn - wide, row["longitude_e6"] + turn + wide) for turn in (-CIRCLE, 0, CIRCLE)]


def _others(connection: Connection, row: Mapping[str, Any], same: ColumnElement[bool]) -> list[Mapping[str, Any]]:
    query = select(APPLICATIONS).where(same, APPLICATIONS.c.id != row["id"], APPLICATIONS.c.state.not_in(GIVEN_UP))
    return [*connection.execute(query.order_by(APPLICATIONS.c.id).limit(TWINS_MAX)).mappings()]


def metres_between(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How far two places are from each other; infinite where nobody knows."""
    degrees = [row[name] for row in (one, other) for name in ("latitude_e6", "longitude_e6")]
    if None in degrees:
        return float("inf")
    south, west, north, east = (radians(value / MILLION) for value in degrees)
    half = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
    return 2 * EARTH_METRES * asin(min(1.0, sqrt(half)))

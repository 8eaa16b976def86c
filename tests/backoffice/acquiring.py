"""Rules, plans and forms of the samples, and people who work with them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import switch.access.tables
import switch.backoffice.tables
import switch.merchants.binding_tables
import switch.proposals.tables
import switch.rulebooks.tables  # noqa: F401 - the store's as soon as they were imported
from switch.access.actor import Actor
from switch.applications.applying import Clerk, Rules
from switch.applications.contracts import import_text
from switch.applications.forms import read_form
from switch.applications.lists import load_lists
from switch.applications.plans import import_plans, load_plans
from switch.applications.policy import load_policy
from switch.applications.tries import SecretTries
from switch.store.changing import changing
from switch.store.sealing import Sealer
from tests.leaks import Leaks

SAMPLES = Path(__file__).parents[2] / "configs" / "sample" / "acquiring"
AT = datetime(2026, 11, 28, 8, 30, tzinfo=UTC)
LATER = timedelta(days=1)
CONTRACT = (SAMPLES / "contract.txt").read_text()
POLICY = load_policy(SAMPLES / "rules.toml")
SEALER = Sealer({1: bytes(32)}, bytes(range(32)))
RULES = Rules(POLICY, load_lists(POLICY.lists, SAMPLES), SEALER, ZoneInfo("Asia/Shanghai"))
PDF = b"%PDF-1.7 a licence"
JPEG = b"\xff\xd8\xff\xe0 a photo"
PNG = b"\x89PNG\r\n\x1a\n a card"
PAPERS = {"licence": PDF, "identity card": PNG, "photo of the shop": JPEG}
COMPANY = read_form(SAMPLES / "company.toml")
PERSON = read_form(SAMPLES / "person.toml")
LEAKS = Leaks(
    {
        f"{name} of the {form.kind}": secret.get_secret_value()
        for form in (COMPANY, PERSON)
        for name in ("identity", "representative", "account")
        if (secret := getattr(form, name)) is not None
    }
)
"""What no answer may show in clear."""


@contextmanager
def clerk(store, name, *, at=AT, rights=None):
    """Somebody at work, in one transaction."""
    with changing(store, name, "a test", at) as change:
        yield Clerk(change, Actor(name, rights=rights), RULES)


def begin(store):
    """Offer the plans; the hash of the contract's text."""
    with changing(store, "chief", "begins", AT) as change:
        import_plans(change, load_plans(SAMPLES / "plans.toml"))
        return import_text(change, "card acceptance", CONTRACT)


def enter(store, form=COMPANY, *, name="jo"):
    """An application with all its papers; its reference and secret."""
    with clerk(store, name) as one:
        reference, secret = one.enter(form)
        for kind, content in PAPERS.items():
            one.add_document(reference, kind, content)
    return reference, secret


def does(store, name, step, *arguments, at=AT, rights=None):
    """One step by somebody."""
    with clerk(store, name, at=at, rights=rights) as one:
        return getattr(one, step)(*arguments)


def accepted(store, form=COMPANY, found=""):
    """An application whose contract was accepted; its reference."""
    text = begin(store)
    reference, _ = enter(store, form)
    does(store, "jo", "submit", reference)
    does(store, "rita", "review", reference, "low", found)
    does(store, "ann", "approve", reference)
    does(store, "jo", "offer", reference, text)
    does(store, "jo", "accept", reference, text, "Zhang San", "signed on paper")
    return reference


def is_applicant(store, *said):
    """What a process says, and has counted when it ends."""
    tries = SecretTries(store)
    try:
        return tries.is_applicant(*said)
    finally:
        tries.close()

"""What both the API and the pages do for an applicant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from switch.applicants.callers import Caller, Counts
from switch.applications.applying import Rules
from switch.applications.documents import BEGINNINGS, content_type_of
from switch.applications.forms import Form
from switch.applications.own import Applicants, secret_of
from switch.applications.own_view import view_of
from switch.applications.plans import plans_on_offer, side_by_side
from switch.backoffice.problems import ProblemError, of_fields
from switch.config.sections import ApplicantsSection
from switch.files.problems import ConfigError
from switch.store.opening import Store
from switch.store.problems import TooManyError

DAY_SECONDS = 86_400.0
OTHER_PAPER: Final = "other"

T = TypeVar("T")


class Desk:
    """Where applicants are served.

    Args:
        applicants: What they may do.
        section: The limits.
    """

    def __init__(self, applicants: Applicants, section: ApplicantsSection) -> None:
        self.applicants = applicants
        self.section = section
        self._drafts = Counts(section.drafts_per_address, DAY_SECONDS)

    @property
    def store(self) -> Store:
        """Where all of it is kept."""
        return self.applicants.store

    @property
    def rules(self) -> Rules:
        """As they are now."""
        return self.applicants.opening()

    def offer(self) -> dict[str, Any]:
        """The plans that are on offer, each by itself and side by side."""
        with self.store.reading() as connection:
            plans = plans_on_offer(connection)
        return {
            "plans": [plan.model_dump(mode="json") for plan in plans],
            "side_by_side": [{"what": what, "values": values} for what, values in side_by_side(plans)],
        }

    def needed(self) -> dict[str, Any]:
        """What an application needs: papers by kind of applicant, their types and sizes, and categories."""
        rules = self.rules
        papers = rules.policy.documents
        return {
            "papers": {"company": list(papers.company), "person": list(papers.person)},
            "paper_types": list(BEGINNINGS.values()),
            "paper_bytes_max": papers.bytes_max,
            "papers_max": papers.count_max,
            "papers_bytes_max": self.section.papers_bytes_max,
            "categories": [{"code": code, "name": one.name} for code, one in sorted(rules.lists.categories.items())],
        }

    def begin(self, caller: Caller, form: Form) -> tuple[str, str]:
        """Begin an application; its reference and secret.

        Raises:
            RefusedError: The plan is not on offer, or there are too many of this address, or of all, today.
            StoreError: It cannot be kept.
        """
        if not self._drafts.takes(caller.shares):
            raise TooManyError("too many applications were begun from your address today: try again tomorrow")
        try:
            return self.applicants.begin(form)
        except BaseException:
            self._drafts.gives_back(caller.shares)
            raise

    def view(self, reference: str) -> dict[str, Any]:
        """What the applicant sees."""
        rules = self.rules
        with self.store.reading() as connection:
            return view_of(connection, rules, reference)

    def add_paper(self, reference: str, kind: str, declared: str, content: bytes) -> str:
        """Keep a paper whose bytes are what is said of them; its number.

        Raises:
            ProblemError: They are something else.
            RefusedError: It is not taken.
            StoreError: It cannot be kept.
        """
        found = content_type_of(content)
        said = declared.partition(";")[0].strip().lower()
        if found is None or found != said:
            raise ProblemError(422, f"needed {', '.join(BEGINNINGS.values())}, and bytes of the type that is declared")
        return self.applicants.add_paper(reference, kind, content)

    def secret_of(self, reference: str) -> bytes | None:
        """The hash of an application's secret; None where there is no such application."""
        with self.store.reading() as connection:
            return secret_of(connection, reference)


def in_fields(do: Callable[[], T]) -> T:
    """Do something with a form; what is wrong with its fields is a problem that names them.

    Raises:
        ProblemError: Fields are wrong.
    """
    try:
        return do()
    except ConfigError as error:
        raise of_fields(422, ((one.key, one.reason) for one in error.problems)) from None

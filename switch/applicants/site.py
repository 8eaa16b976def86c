"""What all pages have in common: templates, the cookie, and forms that were ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from switch.applicants.desk import Desk
from switch.applicants.fields import sent
from switch.applicants.sessions import Cookies, Sessions, new_token
from switch.backoffice.problems import ProblemError

FOLDER: Final = Path(__file__).parent / "templates"
STYLE: Final = "style.css"
TOKEN: Final = "form_token"  # noqa: S105 - what the field is called
STEPS: Final = (
    ("plan", "Plan"),
    ("form", "Your details"),
    ("documents", "Documents"),
    ("submit", "Hand in"),
    ("contract", "Contract"),
)


class Site:
    """What all pages have in common.

    Args:
        desk: Where applicants are served.
        sessions: Of those who have signed in.
        cookies: The one cookie.
    """

    def __init__(self, desk: Desk, sessions: Sessions, cookies: Cookies) -> None:
        self.desk = desk
        self.sessions = sessions
        self.cookies = cookies
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip

    def page(
        self, request: Request, name: str, *, status: int = 200, cookie: str | None = None, **values: Any
    ) -> HTMLResponse:
        """A page, with the token that its forms bring back."""
        token = cookie or request.state.token
        shared = {
            "title": self.desk.section.title,
            "contact": self.desk.section.contact,
            "form_token": self.sessions.form_token(token),
            "is_signed_in": cookie is not None or bool(request.state.reference),
            "steps": STEPS,
            "step": "",
        }
        response = HTMLResponse(self._templates.get_template(f"{name}.html").render(shared | values), status)
        if self.cookies.read(request) != token:
            self.cookies.write(response, token)
        return response

    def problem(self, request: Request, problem: ProblemError) -> Response:
        """The page that says what is wrong."""
        if not request.state.token:  # refused before anybody looked at it
            request.state.token = self.cookies.read(request) or new_token()
        response = self.page(request, "problem", status=problem.status, detail=problem.detail)
        response.headers.update({name: value for name, value in problem.headers.items() if name == "Retry-After"})
        return response

    def form(self, request: Request) -> dict[str, str]:
        """The fields of a form, which was one of ours.

        Raises:
            ProblemError: It was not, or cannot be read.
        """
        return self._checked(request, sent(request)[0])

    def _checked(self, request: Request, texts: dict[str, str]) -> dict[str, str]:
        if not self.sessions.is_of_form(self.cookies.read(request), texts.pop(TOKEN, "")):
            raise ProblemError(403, "this form is too old, or your browser keeps no cookies: load the page anew")
        return texts

    def upload(self, request: Request) -> tuple[dict[str, str], str, bytes]:
        """The fields of a form that was one of ours, and the type and bytes of its file.

        Raises:
            ProblemError: It was not, or has no file.
        """
        texts, files = sent(request)
        texts = self._checked(request, texts)
        if "file" not in files or not files["file"].content:
            raise ProblemError(422, "choose a file")
        return texts, files["file"].content_type, files["file"].content

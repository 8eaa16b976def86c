"""What applicants reach, as a process; and a browser that uses its pages by the forms that are on them."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx

from bench.processes import free_port
from switch.access.actor import Actor
from switch.applications.applying import Clerk
from switch.applications.contracts import import_text
from switch.applications.plans import import_plans, load_plans
from switch.check.applications import open_rules
from switch.config import load_config
from switch.store.changing import changing
from switch.store.opening import Store, parse_url

from .acquiring import CONTRACT, SAMPLES
from .registry import WHY, Office, call

START_SECONDS = 60
WIDE = "requests_per_second = 1000\ndrafts_per_address = 1000\nwrong_secrets_max = 1000\n"
VOID = ("input", "meta", "link", "br", "hr", "img")


class Applicants:
    """One process that serves applicants."""

    def __init__(self, folder, store_url, more=WIDE, scheme="http", verify=True, bind=None):
        self.office = Office(folder, store_url)
        self.port = free_port()
        text = self.office.config.read_text()
        bind = bind or f"127.0.0.1:{self.port}"
        served = f'[applicants]\nbind = "{bind}"\ncontact = "010 5550 0199"\n{more}\n'
        self.office.config.write_text(f'{text}\n[applications]\nrules = "sample/acquiring/rules.toml"\n{served}')
        assert call("store", "renew-key", self.office.config)[0] == 0
        self.store = Store.open(parse_url(store_url))
        with changing(self.store, "chief", "begins") as change:
            import_plans(change, load_plans(SAMPLES / "plans.toml"))
            self.text_hash = import_text(change, "Card acceptance", CONTRACT)
        self.url, self.verify = f"{scheme}://127.0.0.1:{self.port}", verify
        self.browsers = []
        self.log = folder / "applicants.log"
        with self.log.open("w") as log:
            words = [sys.executable, "-m", "switch", "applicants", "serve", str(self.office.config)]
            self.process = subprocess.Popen(words, stderr=log, stdout=log)
        self.logs("applicants are served")

    def logs(self, words):
        """What the log says, once it says these."""
        deadline = time.monotonic() + START_SECONDS
        while words not in (text := self.log.read_text()):
            assert self.process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        return text

    def client(self, **settings):
        return httpx.Client(base_url=self.url, verify=self.verify, timeout=30, trust_env=False, **settings)

    def asks(self, method, path, proof=None, address=None, headers=None, **more):
        """An answer; ``proof`` is reference and secret, ``address`` what a proxy says."""
        said = {} if address is None else {"X-Forwarded-For": address}
        with self.client() as client:
            return client.request(method, path, auth=proof, headers={**said, **(headers or {})}, **more)

    def does(self, method, path, proof=None, **more):
        answer = self.asks(method, path, proof, **more)
        assert answer.is_success, (answer.status_code, answer.text, self.log.read_text()[-2_000:])
        return answer.json()

    def refuses(self, method, path, proof=None, **more):
        """Status and words of a problem document."""
        answer = self.asks(method, path, proof, **more)
        assert answer.headers["Content-Type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()["detail"]

    def staff(self, name, step, *arguments):
        """One step by somebody of the staff."""
        rules, keys = open_rules(load_config(self.office.config))
        keys.close()
        with changing(self.store, name, WHY[1], datetime.now(UTC)) as change:
            return getattr(Clerk(change, Actor(name), rules), step)(*arguments)

    def decides(self, reference):
        """Two people approve, and a contract is offered."""
        self.staff("rita", "review", reference, "low")
        self.staff("ann", "approve", reference)
        self.staff("jo", "offer", reference, self.text_hash)

    def ends(self):
        for one in self.browsers:
            one.client.close()
        self.process.terminate()
        status = self.process.wait(30)
        self.store.close()
        return status


class Form:
    """One form of a page: where it goes, and what it brings unless something else is filled in."""

    def __init__(self, attributes):
        self.action = attributes["action"]
        self.method = attributes.get("method", "get")
        self.enctype = attributes.get("enctype", "application/x-www-form-urlencoded")
        self.values = {}
        self.sorts = {}
        self.required = set()


class Page(HTMLParser):
    """What is on a page; it fails where something has no label, or comes from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.links, self.labels, self.texts, self.alerts = [], [], set(), [], []
        self._ids, self._open, self._chosen = set(), [], None
        self.feed(text)
        assert self._open == [], self._open
        for form in self.forms:
            for name, sort in form.sorts.items():
                assert sort == "hidden" or name in self.labels, f"{name} has no label"
        assert self.labels <= self._ids

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert tag not in ("script", "iframe", "object", "style", "img")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        if tag not in VOID:
            self._open.append(tag)
        if "id" in attributes:
            assert attributes["id"] not in self._ids, attributes["id"]
            self._ids.add(attributes["id"])
        for name in ("href", "src", "action"):
            assert attributes.get(name, "/").startswith(("/", "#")), attributes
        if attributes.get("role") == "alert":
            self.alerts.append(len(self.texts))
        getattr(self, f"_{tag}", lambda _: None)(attributes)

    def _form(self, attributes):
        self.forms.append(Form(attributes))

    def _a(self, attributes):
        self.links.append(attributes["href"])

    def _label(self, attributes):
        self.labels.add(attributes["for"])

    def _input(self, attributes):
        form, name, sort = self.forms[-1], attributes["name"], attributes.get("type", "text")
        form.sorts[name] = sort
        if "required" in attributes:
            form.required.add(name)
        if sort not in ("checkbox", "file"):
            form.values[name] = attributes.get("value", "")

    def _select(self, attributes):
        self.forms[-1].sorts[attributes["name"]] = "select"
        self._chosen = attributes["name"]
        self.forms[-1].values[self._chosen] = None

    def _option(self, attributes):
        values = self.forms[-1].values
        if values[self._chosen] is None or "selected" in attributes:
            values[self._chosen] = attributes["value"]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self):
        return " ".join(self.texts)

    def form(self, action):
        return next(one for one in self.forms if one.action == action)


class Browser:
    """Follows links and sends forms, as somebody without JavaScript does; cookies are its own."""

    def __init__(self, site):
        self.client = site.client(follow_redirects=True, headers={"Sec-Fetch-Site": "same-origin"})
        site.browsers.append(self)
        self.goes("/")

    def goes(self, path):
        return self._shows(self.client.get(path))

    def follows(self, beginning):
        """Follow the one link that begins so."""
        return self.goes(next(link for link in self.page.links if link.startswith(beginning)))

    def sends(self, action, files=None, **filled):
        """Send the form with this action, with what is filled in beside what it has."""
        form = self.page.form(action)
        assert set(filled) <= set(form.sorts), set(filled) - set(form.sorts)
        left = {name for name in form.required if not filled.get(name) and not form.values.get(name)}
        assert left <= set(files or ()), left
        assert (form.enctype == "multipart/form-data") == (files is not None)
        return self._shows(self.client.post(action, data={**form.values, **filled}, files=files))

    def _shows(self, answer):
        assert answer.headers["Content-Type"].startswith("text/html"), answer.text
        self.answer, self.status, self.path = answer, answer.status_code, urlsplit(str(answer.url)).path
        self.page = Page(answer.text)
        return self.page

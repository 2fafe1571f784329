"""Asks the other agents what they see, while somebody looks at the page of all regions.

A round is asked at most every ``PERIOD`` seconds, and none while nobody looks. Others are asked
for their own region only (``/api/v1/region``), and who answers that asks nobody: no request goes
round. An answer is bounded in size and time, and who does not give one is silent.

Credentials go to the hosts of the configuration and to the addresses behind its name: a redirect
is not followed, and an answer that shows the password is refused.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import trio

from probe import __version__
from probe.model.secret import ReadSecret, SecretError
from probe.model.spec import Regions
from probe.model.target import endpoint
from probe.serve.page.region_report import MOST_BYTES, RegionReport, ReportProblem, read_report
from probe.serve.page.regions_view import HeardAgent

PERIOD, DEADLINE, WAIT = 4.0, 2.5, 1.5
"""Seconds between two rounds, for one answer, and for which a look waits for a round. A browser
waits 3.5 s for the page: agents that hang must not hold it up, and what comes later stands in the
next look."""

MOST_AGENTS, SIDE_BY_SIDE = 64, 16
"""Agents that are asked at most, and at once."""

KEPT = 600.0
"""Seconds for which an agent that DNS no longer names is said to be silent."""

_PATH = "/api/v1/region"
_MOST_SKEW = 86_400.0
_NOT_ASKED = "it was not asked yet"
_OTHERS = "other agents"


class NoAnswerError(Exception):
    """No report came. The message says why, and repeats nothing that could hold a secret."""


class Peers:
    """The other agents, and what they last said.

    Args:
        read_secret: called for each round, so a rotated password is used at once.
        wall: seconds since the epoch.
    """

    def __init__(self, read_secret: ReadSecret, wall: Callable[[], float] = time.time) -> None:
        self._read_secret = read_secret
        self._wall = wall
        self._regions: Regions | None = None
        self._heard: dict[str, HeardAgent] = {}
        self._wanted, self._done = trio.Event(), trio.Event()
        self._began = -PERIOD
        self._running = False

    def configure(self, regions: Regions | None) -> None:
        """Follow a configuration. What was heard by another one is forgotten."""
        if regions != self._regions:
            self._regions = regions
            named = () if regions is None else (*map(_origin, regions.pages), regions.agents)
            self._heard = {one: HeardAgent(one, problem=_NOT_ASKED) for one in named if one}
            self._began = -PERIOD

    async def look(self) -> tuple[HeardAgent, ...] | None:
        """Return what every other agent says; None where none is named."""
        if self._regions is None:
            return None
        due = trio.current_time() - self._began >= PERIOD
        if due:
            self._wanted.set()
        if due or self._running:
            with trio.move_on_after(WAIT):
                await self._done.wait()
        return tuple(self._heard.values())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask a round whenever a look wants one."""
        task_status.started()
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            regions, self._began = self._regions, trio.current_time()
            if regions is None:
                continue
            self._running = True
            try:
                await self._round(regions)
            finally:
                self._running = False
                self._done.set()
                self._done = trio.Event()

    # ------------------------------------------------------------ one round

    async def _round(self, regions: Regions) -> None:
        pages: dict[str, str] = {_origin(one): "" for one in regions.pages}
        problem = await self._named(regions, pages)
        self._drop(pages, problem)
        for page in list(pages)[:MOST_AGENTS]:
            self._heard.setdefault(page, HeardAgent(page, problem=_NOT_ASKED))
        if len(pages) > MOST_AGENTS:
            why = f"{len(pages) - MOST_AGENTS} more than are asked (at most {MOST_AGENTS})"
            self._heard[_OTHERS] = HeardAgent(_OTHERS, silent_since=self._wall(), problem=why)
        try:
            asking = await trio.to_thread.run_sync(_Asking, regions, self._read_secret)
        except NoAnswerError as error:
            for page in self._heard:
                self._silent(regions, page, str(error))
            return
        limit = trio.CapacityLimiter(SIDE_BY_SIDE)
        # Those that did not answer come last: who hangs must not make others late.
        order = sorted(self._heard, key=lambda page: self._heard[page].silent_since is not None)
        async with asking.client, trio.open_nursery() as nursery:
            for page in order:
                if page in pages:
                    nursery.start_soon(self._ask, regions, asking, page, pages[page], limit)

    async def _named(self, regions: Regions, pages: dict[str, str]) -> str:
        """Add every address behind the agents' own name. Returns why there is none."""
        if regions.agents is None:
            return ""
        parts = urlsplit(regions.agents)
        host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
        found: list[str] = []
        problem = f"DNS does not answer for {host} within {DEADLINE:g} s"
        with trio.move_on_after(DEADLINE):
            try:
                answers = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
                found = sorted({str(address[0]) for *_, address in answers})
                problem = ""
            except OSError as error:
                problem = f"{host} cannot be resolved ({error.strerror or error})"
        for ip in found:
            pages.setdefault(f"{parts.scheme}://{endpoint(ip, port)}{parts.path.rstrip('/')}", host)
        if problem:
            # Those of before are asked on; without any, the name itself is silent.
            named = (regions.agents, _OTHERS)
            before = [page for page in self._heard if page not in pages and page not in named]
            for page in before:
                pages.setdefault(page, host)
            if not before:
                self._heard.setdefault(regions.agents, HeardAgent(regions.agents))
                self._silent(regions, regions.agents, problem)
        else:
            self._heard.pop(regions.agents, None)
        return problem

    def _drop(self, pages: dict[str, str], problem: str) -> None:
        """Forget what is named no more, once it was silent for long enough."""
        for page, one in list(self._heard.items()):
            if page in pages or problem:
                continue
            if one.at is None or self._wall() - one.at > KEPT:
                del self._heard[page]
            else:
                since = one.silent_since or one.at
                why = "DNS no longer names it"
                self._heard[page] = replace(one, report=None, silent_since=since, problem=why)

    async def _ask(
        self, regions: Regions, asking: _Asking, page: str, name: str, limit: trio.CapacityLimiter
    ) -> None:
        async with limit:
            try:
                with trio.fail_after(DEADLINE):
                    report = await asking.report(page, name)
                if abs(self._wall() - report.now) > _MOST_SKEW:
                    raise NoAnswerError("its clock is more than a day off")
            except trio.TooSlowError:
                self._silent(regions, page, f"no whole answer within {DEADLINE:g} s")
            except NoAnswerError as error:
                self._silent(regions, page, str(error))
            else:
                if regions is self._regions:
                    self._heard[page] = HeardAgent(page, report, report.region, self._wall())

    def _silent(self, regions: Regions, page: str, problem: str) -> None:
        one = self._heard.get(page)
        if one is not None and regions is self._regions:
            since = one.silent_since or one.at or self._wall()
            self._heard[page] = replace(one, report=None, silent_since=since, problem=problem)


def _origin(page: str) -> str:
    return page.rstrip("/")


class _Asking:
    """What one round asks with: roots, certificate and login, as they are now. Blocks.

    Raises:
        NoAnswerError: one of them cannot be read.
    """

    def __init__(self, regions: Regions, read_secret: ReadSecret) -> None:
        from probe.discovery.http import (  # noqa: PLC0415 - httpx costs time and memory
            FetchProblem,
            verified_context,
        )
        from probe.net.http import httpx  # noqa: PLC0415 - as above

        context: ssl.SSLContext | bool = False
        self._secrets: tuple[str, ...] = ()
        headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"regional-probe/{__version__}",
        }
        try:
            if any(one.startswith("https:") for one in (*regions.pages, regions.agents or "")):
                context = verified_context(regions.trust)
                self._identify(regions, context)
            if regions.login is not None:
                password = read_secret(regions.login.password).reveal()
                pair = f"{regions.login.username}:{password}".encode()
                coded = base64.b64encode(pair).decode()
                headers["authorization"] = f"Basic {coded}"
                self._secrets = (password, coded)
        except (FetchProblem, SecretError) as error:
            raise NoAnswerError(str(error)) from None
        self.client = httpx.AsyncClient(
            verify=context,
            headers=headers,
            timeout=DEADLINE,
            trust_env=False,  # no proxy and no .netrc that the configuration does not name
            follow_redirects=False,  # a password must not follow to another host
        )

    def _identify(self, regions: Regions, context: ssl.SSLContext) -> None:
        pair = regions.client_certificate
        if pair is None:
            return
        try:
            # An empty password: else OpenSSL asks for one at the terminal.
            context.load_cert_chain(pair.certificate.name, pair.key.name, password="")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it cannot be used"
            raise NoAnswerError(f"client_certificate {pair.certificate}: {why}") from None

    async def report(self, page: str, name: str) -> RegionReport:
        """Ask one agent. Raises NoAnswerError."""
        from probe.discovery.http import (  # noqa: PLC0415 - as above
            FetchProblem,
            whole_body,
            why_no_answer,
        )
        from probe.net.http import httpx  # noqa: PLC0415 - as above

        extensions = {"sni_hostname": name} if name else {}
        try:
            async with self.client.stream("GET", page + _PATH, extensions=extensions) as answer:
                if answer.status_code in _REFUSED:
                    raise NoAnswerError(_REFUSED[answer.status_code])
                body = await whole_body(answer, MOST_BYTES)
            report = read_report(body)
        except (FetchProblem, ReportProblem) as error:
            raise NoAnswerError(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswerError(why_no_answer(error)) from None
        self._refuse_secrets(body)
        return report

    def _refuse_secrets(self, body: bytes) -> None:
        shown = json.dumps(json.loads(body), ensure_ascii=False)
        for secret in self._secrets:
            if json.dumps(secret, ensure_ascii=False)[1:-1] in shown:
                raise NoAnswerError("the answer shows the login that was sent for it; refused")


_REFUSED = {
    401: "it refuses the login (401); see basic_auth: of regions:",
    403: "it asks for a client certificate (403); see client_certificate: of regions:",
    404: "it serves no page there (404); see page: of its configuration, and its version",
    421: "it does not answer to this name (421); add it to host_names: of its configuration",
}

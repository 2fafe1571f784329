"""Our ``/probe`` beside the real blackbox_exporter's, at the same servers, series by series.

Every difference is of a kind that docs/blackbox.md has a reason for; any other fails, and so does a
kind that is not seen any more.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h11
import pytest
import trio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from probe.agent.asked import AskedProbes
from probe.agent.parts import build_parts
from probe.agent.rounds import Round, passed
from probe.blackbox.written import imported
from probe.config.loading import load_text, validate
from probe.documents.targets import load_targets
from probe.lab import chains
from probe.lab.ca import Credential, Pki
from probe.net.http import httpx
from probe.serve.http.message import WebRequest
from tests.support.http_server import Ca, Http, Reply, serve
from tests.support.ports import free_port
from tests.support.programs import ROOT, program, running
from tests.support.tls_server import server_context

pytestmark = [pytest.mark.real]

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]

THEIRS: Final = """\
modules:
  http_2xx: {{prober: http, timeout: 5s, http: {{{common}}}}}
  http_slow: {{prober: http, timeout: 1s, http: {{{common}}}}}
  http_body:
    prober: http
    timeout: 5s
    http: {{{common}, fail_if_body_not_matches_regexp: ["all is (well|good)"]}}
  http_no_body:
    prober: http
    timeout: 5s
    http: {{{common}, fail_if_body_matches_regexp: [broken]}}
  http_404: {{prober: http, timeout: 5s, http: {{{common}, valid_status_codes: [404]}}}}
  http_stays: {{prober: http, timeout: 5s, http: {{{common}, follow_redirects: false}}}}
  http_post:
    prober: http
    timeout: 5s
    http: {{{common}, method: POST, headers: {{X-Kind: test}}, body: "a=b"}}
  http_gzip: {{prober: http, timeout: 5s, http: {{{common}, compression: gzip}}}}
  tcp: {{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4}}}}
  tls:
    prober: tcp
    timeout: 5s
    tcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{ca_file: {roots}}}}}
"""
_COMMON: Final = "preferred_ip_protocol: ip4, enable_http2: false, tls_config: {{ca_file: {roots}}}"

OURS: Final = """\
region: here
addresses: {{allow: [127.0.0.0/8, "::1"]}}
limits: {{lag_bound: 10s}}
blackbox:
  targets: ["*"]
  modules:
    http_2xx: {{{api}, steps: [{{{get}, {follow}}}]}}
    http_slow: {{{slow}, steps: [{{{get}}}]}}
    http_body: {{{api}, steps: [{{{get}, expect: {{matches: "all is (well|good)"}}}}]}}
    http_no_body: {{{api}, steps: [{{{get}, expect: {{not_matches: broken}}}}]}}
    http_404: {{{api}, steps: [{{{get}, expect: {{status: 404}}}}]}}
    http_stays: {{{api}, steps: [{{{get}}}]}}
    http_post: {{{api}, steps: [{{name: post, post: "{{target.url}}", {post}}}]}}
    http_gzip: {{{api}, steps: [{{{get}}}]}}
    tcp: {{kind: tcp, timeout: 5s, prefer: ip4}}
    tls: {{kind: tls, timeout: 5s, prefer: ip4, trust: {{file: {roots}}}}}
"""
_API: Final = "kind: api, timeout: {}s, prefer: ip4, http2: false, trust: {{file: {}}}"


@dataclass(frozen=True)
class Case:
    """One probe, made by both.

    Attributes:
        at: which server, by name.
        host: how the target names it.
    """

    module: str
    at: str
    path: str = "/"
    host: str = "localhost"

    @property
    def name(self) -> str:
        return f"{self.module} at {self.at}{self.path} as {self.host}"

    def target(self, ports: Mapping[str, int]) -> str:
        place = f"{self.host}:{ports[self.at]}"
        if self.module.startswith("http"):
            scheme = "http" if self.at in {"plain", "refused", "plain6"} else "https"
            return f"{scheme}://{place}{self.path}"
        return place


CASES: Final = [
    Case("http_2xx", "plain"),
    Case("http_2xx", "plain", host="127.0.0.1"),
    Case("http_2xx", "plain6", host="[::1]"),
    Case("http_2xx", "plain", "/moved"),
    Case("http_2xx", "plain", "/loop"),
    Case("http_stays", "plain", "/moved"),
    Case("http_2xx", "plain", "/nothing"),
    Case("http_404", "plain", "/nothing"),
    Case("http_2xx", "plain", "/broken"),
    Case("http_body", "plain", "/well"),
    Case("http_body", "plain", "/broken-well"),
    Case("http_no_body", "plain", "/well"),
    Case("http_no_body", "plain", "/broken-well"),
    Case("http_gzip", "plain", "/packed"),
    Case("http_post", "plain", "/post"),
    Case("http_slow", "plain", "/slow"),
    Case("http_2xx", "refused"),
    *(
        Case(module, at)
        for module in ("http_2xx", "tls")
        for at in ("good", "expired", "wrong_name", "missing_intermediate", "self_signed")
    ),
    Case("tls", "plain"),
    Case("http_2xx", "silent"),
    Case("tls", "refused"),
    Case("tcp", "plain"),
    Case("tcp", "plain6", host="[::1]"),
    Case("tcp", "refused"),
]


def _routes() -> dict[str, Reply]:
    packed = gzip.compress(b"packed " * 100)
    return {
        "/": Reply(body="hello", headers=(("last-modified", "Tue, 01 Sep 2026 10:00:00 GMT"),)),
        "/moved": Reply(302, headers=(("location", "/"),)),
        "/loop": Reply(302, headers=(("location", "/loop"),)),
        "/broken": Reply(500, "broken"),
        "/well": Reply(body="all is well"),
        "/broken-well": Reply(body="this is broken"),
        "/packed": Reply(body=packed, headers=(("content-encoding", "gzip"),)),
        "POST /post": Reply(201, "made"),
        "/slow": Reply(delay=8),
    }


def _credentials(pki: Pki) -> dict[str, Credential]:
    good = pki.credential("localhost")
    return {
        "good": good,
        "expired": chains.expired(pki, "localhost"),
        "wrong_name": pki.credential("other.example"),
        "missing_intermediate": Credential(good.chain[:1], good.key),
        "self_signed": chains.self_signed(pki, "localhost"),
    }


@asynccontextmanager
async def _servers(folder: Path) -> AsyncIterator[dict[str, int]]:
    """Every server's port by its name."""
    pki = Ca(folder).pki

    async def silent(_: object) -> None:
        await trio.sleep_forever()

    answering = Http(dict(_routes()))

    async def http(stream: Any) -> None:
        try:
            await answering(stream)
        except h11.RemoteProtocolError:  # TLS, where a page is
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        await stream.aclose()

    async with AsyncExitStack() as stack:
        ports = {"refused": free_port()}
        ports["plain"] = (await stack.enter_async_context(serve(None, http))).port
        ports["silent"] = (await stack.enter_async_context(serve(None, silent))).port
        for name, credential in _credentials(pki).items():
            own = folder / name
            own.mkdir()
            context = server_context(own, credential)
            ports[name] = (await stack.enter_async_context(serve(context, http))).port
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="::1")
            ports["plain6"] = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, http, [listener])
            yield ports
            nursery.cancel_scope.cancel()


def _parsed(text: str) -> Series:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


@dataclass
class Both:
    """What both say of every case."""

    theirs: dict[str, Series] = field(default_factory=dict)
    ours: dict[str, Series] = field(default_factory=dict)
    imported: dict[str, bool] = field(default_factory=dict)


async def _asked(folder: Path) -> Both:
    roots = folder / "roots.pem"
    api, slow = _API.format(5, roots), _API.format(1, roots)
    text = OURS.format(
        api=api,
        slow=slow,
        get='name: get, get: "{target.url}"',
        post='headers: {X-Kind: test}, body: "a=b"',
        follow="follow_redirects: 10, redirect_to_http: true",
        roots=roots,
    )
    both, port = Both(), free_port()
    config = folder / "blackbox.yml"
    config.write_text(THEIRS.format(common=_COMMON.format(roots=roots), roots=roots))
    async with _servers(folder) as ports:
        spec = load_text(text, "probe.yaml", environ={})
        probes = AskedProbes(build_parts(spec, {}), spec)
        command = [program("prometheus-blackbox-exporter"), f"--config.file={config}"]
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        with running(command, folder / "blackbox.log", ports=[port]):
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                for case in CASES:
                    query = {"module": case.module, "target": case.target(ports)}
                    url = f"http://127.0.0.1:{port}/probe"
                    there = await client.get(url, params=query)
                    assert there.status_code == 200, there.text
                    both.theirs[case.name] = _parsed(there.text)
                    answer = await probes.answer(WebRequest("GET", "/probe", query))
                    assert isinstance(answer.body, bytes)
                    both.ours[case.name] = _parsed(answer.body.decode())
        both.imported = await _verdicts_of_import(folder, ports)
    return both


# ---------------------------------------------------------------- what was imported


async def _verdicts_of_import(folder: Path, ports: Mapping[str, int]) -> dict[str, bool]:
    """What scheduled checks say that were imported from the same modules, by case."""
    jobs = [
        {
            "job_name": f"c{number}",
            "metrics_path": "/probe",
            "params": {"module": [case.module]},
            "static_configs": [{"targets": [case.target(ports)]}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"target_label": "__address__", "replacement": "127.0.0.1:9115"},
            ],
        }
        for number, case in enumerate(CASES)
    ]
    prometheus = folder / "prometheus.yml"
    prometheus.write_text(yaml.safe_dump({"scrape_configs": jobs}))
    made = imported(folder / "blackbox.yml", prometheus)
    for name, text in made.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    spec, _ = validate(folder / "probe.yaml", environ={})
    lists = {name: load_targets(Path(one.files[0].path)) for name, one in spec.targets.items()}
    results = await Round(build_parts(spec, {}), spec, lists).run()
    verdicts = {case.name: True for case in CASES}
    for result in results:
        verdicts[CASES[int(result.key.check[1:])].name] &= passed(result)
    assert {result.key.check for result in results} == {f"c{n}" for n in range(len(CASES))}
    return verdicts


# ---------------------------------------------------------------- what differs

_FACTS = {
    "probe_ssl_earliest_cert_expiry",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info",
    "probe_tls_version_info",
}
_TIMES = {"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds"}
_NEWER = {"probe_tls_cipher_info"}


@dataclass(frozen=True)
class Difference:
    """One series in which both differ; a value is None where the series is not there."""

    name: str
    labels: tuple[tuple[str, str], ...]
    there: float | None
    here: float | None
    passed: bool
    unanswered: bool


def _facts_of_bad_chains(one: Difference) -> bool:
    return one.name in _FACTS and one.there is None and not one.passed


KINDS: Final[dict[str, Callable[[Difference], bool]]] = {
    "zeros": lambda one: one.there == 0 and one.here is None,
    "renewal": lambda one: one.name.startswith("probe_certificate_") and one.there is None,
    "newer-series": lambda one: one.name in _NEWER and one.there is None,
    "serial-number": lambda one: one.name == "probe_ssl_last_chain_info" and one.passed,
    "facts-of-bad-chains": _facts_of_bad_chains,
    "last-modified": lambda one: one.name == "probe_http_last_modified_timestamp_seconds",
    "redirects-not-followed": lambda one: (
        one.name == "probe_http_redirects" and one.there is not None and one.here == one.there - 1
    ),
    "ssl-without-answer": lambda one: (
        one.name == "probe_http_ssl" and (one.there, one.here) == (0, 1) and one.unanswered
    ),
}
"""Name of each kind of difference, as docs/blackbox.md has it, and what belongs to it."""

MOST_KINDS: Final = 10


def _differences(there: Series, here: Series) -> list[Difference]:
    """Series that only one of both has, and values that are not the same; times are never equal."""
    passed = there.get(("probe_success", ())) == 1
    unanswered = there.get(("probe_http_status_code", ())) == 0
    return [
        Difference(*key, there.get(key), here.get(key), passed, unanswered)
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
        and not (key[0] in _TIMES and key in there and key in here)
    ]


def _documented() -> set[str]:
    """Kinds that the table of docs/blackbox.md has a reason for."""
    page = (ROOT / "docs" / "blackbox.md").read_text()
    table = page.partition("## Differences\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", table, re.MULTILINE)
    assert all(what and why for _, what, why in rows)
    return {name for name, _, _ in rows}


def test_every_kind_of_difference_has_its_reason() -> None:
    assert _documented() == KINDS.keys()
    assert len(KINDS) <= MOST_KINDS


def test_a_difference_of_no_kind_is_found() -> None:
    """Else a comparison that lost its eyes would pass."""
    there: Series = {("probe_success", ()): 1.0, ("probe_ip_protocol", ()): 4.0}
    here: Series = {("probe_success", ()): 0.0, ("probe_ip_protocol", ()): 4.0}
    (found,) = _differences(there, here)
    assert not any(belongs(found) for belongs in KINDS.values())


@pytest.mark.slow
async def test_series_and_verdicts_are_those_of_blackbox_exporter(tmp_path: Path) -> None:
    both = await _asked(tmp_path)
    assert len(both.theirs) == len(CASES)
    seen: set[str] = set()
    odd: list[str] = []
    for name, there in both.theirs.items():
        here = both.ours[name]
        assert ("probe_success", ()) in here
        assert ("probe_dns_lookup_time_seconds", ()) in here
        if "probe_http_status_code" in {key[0] for key in there}:
            assert ("probe_http_duration_seconds", (("phase", "resolve"),)) in here
        for one in _differences(there, here):
            kinds = {kind for kind, belongs in KINDS.items() if belongs(one)}
            seen |= kinds
            if not kinds:
                odd.append(f"{name}: {one}")
    assert odd == []
    assert seen == KINDS.keys(), "a kind that is not seen needs no reason"
    verdicts = {case: series[("probe_success", ())] for case, series in both.theirs.items()}
    assert set(verdicts.values()) == {0.0, 1.0}
    assert both.imported == {case: value == 1 for case, value in verdicts.items()}

"""Probes that others ask for at ``/probe``: what is refused, how long, what is answered."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from probe.agent.asked import AskedProbes, narrowed, read_asked, seconds_for
from probe.agent.parts import build_parts
from probe.config.loading import load_text
from probe.model.spec import ASKED_URL, Blackbox, Module, Spec, TlsCheck
from probe.model.target import Edge, Resolution
from probe.serve.http.message import Refused, WebAnswer, WebRequest
from probe.serve.http.web import application
from probe.serve.memory.store import Store
from tests.support.http_server import Ca, Http, Reply, serve
from tests.support.ports import free_port

CONFIG = """\
region: here
addresses: {{allow: [127.0.0.0/8, "::1"]}}
blackbox:
  targets: [{targets}]
  concurrency: 2
  modules:
    tcp: {{kind: tcp, timeout: 5s}}
    tls: {{kind: tls, timeout: 5s, prefer: ip4, trust: {{file: {roots}}}}}
    http_2xx:
      kind: api
      prefer: ip4
      timeout: 5s
      trust: {{file: {roots}}}
      steps: [{{name: get, get: "{{target.url}}", follow_redirects: 10, redirect_to_http: true}}]
    secret:
      kind: api
      timeout: 5s
      trust: {{file: {roots}}}
      hosts: [api.example]
      auth: {{login: {{kind: bearer, token: "env:TOKEN"}}}}
      steps: [{{name: get, get: "{{target.url}}", auth: login}}]
"""
SECRET = "tok-5f1c0a77e2"


def spec_of(roots: Path = Path(__file__), targets: str = "localhost, 127.0.0.0/8") -> Spec:
    return load_text(CONFIG.format(roots=roots, targets=targets), "probe.yaml", environ={})


@pytest.fixture
def ca(tmp_path: Path) -> Ca:
    return Ca(tmp_path)


def prober(spec: Spec) -> AskedProbes:
    return AskedProbes(build_parts(spec, {"TOKEN": SECRET}), spec)


async def ask(probes: AskedProbes, *, scrape: str = "", **query: str) -> WebAnswer:
    headers = {"x-prometheus-scrape-timeout-seconds": scrape} if scrape else {}
    with trio.fail_after(60):
        return await probes.answer(WebRequest("GET", "/probe", query, headers))


def body(answer: WebAnswer) -> str:
    assert isinstance(answer.body, bytes)
    return answer.body.decode()


def value(answer: WebAnswer, series: str) -> float | None:
    found = [
        float(line.rsplit(" ", 1)[1])
        for line in body(answer).splitlines()
        if line.startswith(f"{series} ")
    ]
    assert len(found) <= 1
    return found[0] if found else None


# ---------------------------------------------------------------- what is asked for


def box(**more: object) -> Blackbox:
    spec = spec_of(targets='"*.shop.example", "198.51.100.0/24", "db.example:5432"')
    assert spec.blackbox is not None
    return spec.blackbox


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"module": "nope", "target": "a.shop.example"}, 400),
        ({"module": "tcp", "target": " "}, 400),
        ({"module": "tcp"}, 400),
        ({"module": "tcp", "target": "a.shop.example"}, 400),  # no port
        ({"module": "tcp", "target": "a b:1"}, 400),
        ({"module": "http_2xx", "target": "ftp://a.shop.example/"}, 400),
        ({"module": "http_2xx", "target": "http://user:pw@a.shop.example/"}, 400),
        ({"module": "http_2xx", "target": "a.shop.example/" + "x" * 3000}, 400),
        ({"module": "tcp", "target": "shop.other:1"}, 403),
        ({"module": "tcp", "target": "db.example:22"}, 403),
        ({"module": "tcp", "target": "203.0.113.1:22"}, 403),
        ({"module": "http_2xx", "target": "https://evil.example?.shop.example"}, 403),
        ({"module": "http_2xx", "target": "https://a.shop.example", "hostname": "b.example"}, 403),
    ],
)
def test_what_may_not_be_probed_is_refused(query: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as refused:
        read_asked(box(), query, {})
    assert refused.value.status == status


NAMED = {"hostname": "a.shop.example"}


@pytest.mark.parametrize(
    ("query", "name", "port", "url"),
    [
        ({"target": "a.shop.example"}, "a.shop.example", 80, "http://a.shop.example"),
        ({"target": "https://A.shop.example/x?y=1"}, "a.shop.example", 443, "https://a.shop.example/x?y=1"),
        ({"target": "https://198.51.100.7:8443", **NAMED}, "198.51.100.7", 8443, "https://a.shop.example:8443"),
        ({"target": "198.51.100.7", **NAMED}, "198.51.100.7", 80, "http://a.shop.example/"),
        ({"target": "198.51.100.7?x=1", **NAMED}, "198.51.100.7", 80, "http://a.shop.example/?x=1"),
        ({"target": "198.51.100.7?u=/b", **NAMED}, "198.51.100.7", 80, "http://a.shop.example/?u=/b"),
        ({"target": "198.51.100.7/p?u=/b", **NAMED}, "198.51.100.7", 80, "http://a.shop.example/p?u=/b"),
        ({"module": "tcp", "target": "db.example:5432"}, "db.example", 5432, ""),
        ({"module": "tls", "target": "a.shop.example"}, "a.shop.example", 443, ""),
    ],
)  # fmt: skip
def test_targets_are_read_as_there(query: dict[str, str], name: str, port: int, url: str) -> None:
    asked = read_asked(box(), query, {})
    assert (asked.target.name, asked.port) == (name, port)
    assert asked.target.labels.get(ASKED_URL, "").rstrip("/") == url.rstrip("/")


@pytest.mark.parametrize(
    ("own", "scrape", "seconds"),
    [
        (None, None, 10.0),
        (5.0, None, 5.0),
        (None, "10", 9.5),
        (5.0, "10", 5.0),
        (30.0, "10", 9.5),
        (None, "0.3", 0.3),  # less than the offset: all of it, as there
        (None, "900", 120.0),
    ],
)
def test_the_lesser_time_out_counts(own: float | None, scrape: str | None, seconds: float) -> None:
    module = Module(TlsCheck("x", "y", ()), own)
    assert seconds_for(module, scrape, 0.5) == pytest.approx(seconds)


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf", "-1", "0"])
def test_a_time_out_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(Refused, match="Timeout"):
        seconds_for(Module(TlsCheck("x", "y", ())), header, 0.5)


V4, V6 = Edge("192.0.2.1", 1), Edge("2001:db8::1", 1)


@pytest.mark.parametrize(
    ("edges", "prefer", "fallback", "left"),
    [
        ((V4, V6), 6, True, (V6,)),
        ((V4, V6), 4, True, (V4,)),
        ((V4,), 6, True, (V4,)),
        ((V4,), 6, False, ()),
        ((), 6, True, ()),
        ((Edge("192.0.2.9", 1, unnamed=5.0), V4), 4, True, (V4,)),
    ],
)
def test_one_address_is_chosen_by_its_version(
    edges: tuple[Edge, ...], prefer: int, fallback: bool, left: tuple[Edge, ...]
) -> None:
    module = Module(TlsCheck("x", "y", ()), None, 4 if prefer == 4 else 6, fallback)
    found = narrowed(Resolution(edges), module, 7)
    assert found.edges == left
    assert (found.failure is None) == bool(left)


def test_of_several_addresses_each_has_its_turn() -> None:
    module = Module(TlsCheck("x", "y", ()), None, 4)
    both = Resolution((V4, Edge("192.0.2.2", 1)))
    assert {narrowed(both, module, turn).edges[0].ip for turn in range(2)} == {
        "192.0.2.1",
        "192.0.2.2",
    }


# ---------------------------------------------------------------- answers


async def test_a_page_is_fetched_with_the_series_of_a_blackbox_exporter() -> None:
    async with serve(None, Http({"/": Reply(body="hello")})) as server:
        answer = await ask(prober(spec_of()), target=f"127.0.0.1:{server.port}")
    assert answer.status == 200
    assert value(answer, "probe_success") == 1
    assert value(answer, "probe_http_status_code") == 200
    assert value(answer, "probe_http_uncompressed_body_length") == 5
    assert value(answer, "probe_ip_protocol") == 4
    assert value(answer, "probe_ip_addr_hash") == 3668918509
    assert value(answer, "probe_dns_lookup_time_seconds") == 0
    assert value(answer, 'probe_http_duration_seconds{phase="resolve"}') == 0
    assert 'check="' not in body(answer)


async def test_what_fails_is_a_probe_that_failed_and_no_error_of_the_scrape() -> None:
    probes, port = prober(spec_of()), free_port()
    for module in ("tcp", "tls", "http_2xx"):
        answer = await ask(probes, target=f"127.0.0.1:{port}", module=module)
        assert answer.status == 200
        assert value(answer, "probe_success") == 0


async def test_tcp_asks_for_a_connection_alone() -> None:
    async def silent(stream: object) -> None:
        await trio.sleep_forever()

    async with serve(None, silent) as server:
        answer = await ask(prober(spec_of()), target=f"127.0.0.1:{server.port}", module="tcp")
    assert value(answer, "probe_success") == 1
    assert "ssl" not in body(answer)


async def test_the_hostname_is_asked_for_at_the_target(ca: Ca) -> None:
    http = Http({"/": Reply(body="x")})
    spec = spec_of(ca.roots, '"*.example", 127.0.0.0/8')
    async with serve(ca.context("api.example"), http) as server:
        probes, place = prober(spec), f"127.0.0.1:{server.port}"
        good = await ask(probes, target=f"https://{place}/", hostname="api.example")
        bad = await ask(probes, target=f"https://{place}/", hostname="other.example")
        tls = await ask(probes, target=place, hostname="api.example", module="tls")
    assert value(good, "probe_success") == 1
    assert value(good, "probe_http_ssl") == 1
    assert http.seen[0].headers["host"] == f"api.example:{server.port}"
    assert value(bad, "probe_success") == 0
    assert value(bad, "probe_ssl_earliest_cert_expiry") is not None  # facts, whatever the verdict
    assert value(tls, "probe_success") == 1


async def test_a_slow_server_costs_what_the_scrape_leaves() -> None:
    async with serve(None, Http({"/": Reply(delay=30)})) as server:
        answer = await ask(prober(spec_of()), target=f"127.0.0.1:{server.port}", scrape="1")
    assert value(answer, "probe_success") == 0
    assert value(answer, "probe_http_status_code") == 0


# ---------------------------------------------------------------- what must not happen


async def test_addresses_of_this_host_are_refused_unless_allowed() -> None:
    text = CONFIG.format(roots=Path(__file__), targets='"*"').replace("allow: [127", "allow: [10")
    probes = prober(load_text(text.replace("10.0.0.0/8", "10.0.0.0/8"), "probe.yaml", environ={}))
    async with serve(None, Http()) as server:
        for target in (f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
            for module in ("tcp", "http_2xx"):
                with pytest.raises(Refused, match="loopback") as refused:
                    await ask(probes, target=target, module=module)
                assert refused.value.status == 503  # ours, so that no target is blamed
        assert server.connections == 0


async def test_a_redirect_leads_to_no_address_that_is_refused() -> None:
    away = Reply(302, headers=(("location", "http://169.254.169.254/latest/"),))
    async with serve(None, Http({"/": away})) as server:
        with pytest.raises(Refused, match="metadata") as refused:
            await ask(prober(spec_of(targets='"*"')), target=f"127.0.0.1:{server.port}")
    assert refused.value.status == 503


async def test_a_redirect_leads_to_nothing_that_may_not_be_probed() -> None:
    inner = Http({"/in": Reply(body="x")})
    async with serve(None, inner) as other:
        away = Reply(302, headers=(("location", f"http://127.0.0.1:{other.port}/in"),))
        async with serve(None, Http({"/": away})) as server:
            place = f"127.0.0.1:{server.port}"
            narrow = prober(spec_of(targets=f'"{place}"'))
            answer = await ask(narrow, target=place)
            log = await ask(narrow, target=place, debug="true")
            assert not inner.seen
            wide = prober(spec_of(targets=f'"{place}", "127.0.0.1:{other.port}"'))
            followed = await ask(wide, target=place)
    assert answer.status == 200  # the target failed, and no scrape
    assert value(answer, "probe_success") == 0
    assert f'blackbox: targets: does not allow "127.0.0.1:{other.port}"' in body(log)
    assert value(followed, "probe_success") == 1


async def test_the_hosts_that_a_module_writes_are_called_whatever_is_asked_for() -> None:
    own = Http({"/first": Reply(body="x")})
    async with serve(None, own) as fixed, serve(None, Http({"/": Reply(body="x")})) as server:
        steps = f"[{{name: first, get: 'http://127.0.0.1:{fixed.port}/first'}}, {{name: get,"
        place = f"127.0.0.1:{server.port}"
        text = CONFIG.format(roots=Path(__file__), targets=f'"{place}"')
        text = text.replace("steps: [{name: get,", f"steps: {steps}", 1)
        answer = await ask(prober(load_text(text, "probe.yaml", environ={})), target=place)
    assert value(answer, "probe_success") == 1
    assert len(own.seen) == 1


async def test_what_is_asked_for_is_no_witness_of_the_agents_own_health() -> None:
    spec, told = spec_of(), list[object]()
    parts = build_parts(spec, {})
    parts.flow.heard = lambda *call: told.append(call)
    async with serve(None, Http({"/": Reply(body="x")})) as server:
        answer = await ask(AskedProbes(parts, spec), target=f"127.0.0.1:{server.port}")
    assert value(answer, "probe_success") == 1
    assert not told


async def test_credentials_go_to_the_hosts_they_are_bound_to_alone(ca: Ca) -> None:
    http = Http({"/": Reply(body="x")})
    spec = spec_of(ca.roots, '"*.example", 127.0.0.0/8')
    async with serve(ca.context("api.example", "evil.example"), http) as server:
        probes, place = prober(spec), f"https://127.0.0.1:{server.port}/"
        good = await ask(probes, target=place, hostname="api.example", module="secret")
        with pytest.raises(Refused, match="credentials"):
            await ask(probes, target=place, hostname="evil.example", module="secret")
        with pytest.raises(Refused, match="credentials"):
            await ask(probes, target=place, module="secret")
    assert value(good, "probe_success") == 1
    assert [one.headers["authorization"] for one in http.seen] == [f"Bearer {SECRET}"]


async def test_the_log_of_a_probe_shows_no_secret(ca: Ca) -> None:
    def echo(_: object) -> Reply:
        return Reply(500, f"token {SECRET} is refused \x1b[31m")

    spec = spec_of(ca.roots, '"*.example", 127.0.0.0/8')
    async with serve(ca.context("api.example"), Http({"/": echo})) as server:
        place = f"https://127.0.0.1:{server.port}/"
        answer = await ask(
            prober(spec), target=place, hostname="api.example", module="secret", debug="true"
        )
    text = body(answer)
    assert SECRET not in text
    assert "\x1b" not in text
    assert "answered 500" in text
    assert "expect/status" in text
    assert "probe_success 0.0" in text
    assert "kind api" in text


async def test_so_many_probes_at_once_and_no_more() -> None:
    hold = trio.Event()

    async def waiting(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await hold.wait()

    async with serve(None, waiting) as server, trio.open_nursery() as nursery:
        probes, target = prober(spec_of()), f"127.0.0.1:{server.port}"
        for _ in range(2):
            nursery.start_soon(lambda: ask(probes, target=target))
        with trio.fail_after(30):
            while server.connections < 2:
                await trio.sleep(0.01)
        with pytest.raises(Refused, match="2 probes are under way") as refused:
            await ask(probes, target=target)
        assert refused.value.status == 503
        hold.set()
    async with serve(None, Http({"/": Reply()})) as server:  # and there is room again
        answer = await ask(probes, target=f"127.0.0.1:{server.port}")
    assert value(answer, "probe_success") == 1


# ---------------------------------------------------------------- where it is served


def routed(
    path: str, *, pages: bool = True, host: str = "", method: str = "GET", **query: str
) -> int:
    spec = spec_of()
    probes = prober(spec)
    router = application(Store("here", started_at=0.0), pages=pages, asked=probes.answer)
    try:
        router(WebRequest(method, path, query, host=host))
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (200, {}),
        (200, {"host": "prober.monitoring.svc"}),  # as Prometheus found it
        (200, {"debug": "true", "host": "127.0.0.1"}),
        (421, {"debug": "true", "host": "rebound.example"}),  # a log is evidence, as pages are
        (404, {"debug": "true", "pages": False}),
        (200, {"pages": False}),
        (405, {"method": "HEAD"}),
        (405, {"method": "POST"}),
    ],
)
def test_where_probes_are_answered(status: int, options: dict[str, str | bool]) -> None:
    assert routed("/probe", **options) == status  # type: ignore[arg-type]


async def test_without_the_section_there_are_no_probes() -> None:
    text = "region: here\nchecks: [{name: a, kind: tls, targets: [shop.example]}]\n"
    with pytest.raises(Refused, match="blackbox:") as refused:
        await ask(prober(load_text(text, "probe.yaml", environ={})), target="shop.example")
    assert refused.value.status == 404

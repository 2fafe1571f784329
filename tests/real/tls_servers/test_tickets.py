"""Session tickets across real servers, and the command that shows a broken one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from probe.lab.board import Where
from probe.lab.ca import Pki
from probe.lab.info import Layout, store_names
from probe.lab.world import open_world
from probe.model.tls import ClientProfile, ProfileName
from tests.probers.test_sessions import Edges
from tests.support.ports import free_ports
from tests.support.programs import program, running

from .conftest import NAME, Probe, Shelf, said
from .test_reproduce import paste
from .test_s_server import s_server

pytestmark = pytest.mark.real

KEYS = ("one", "one", "two")


@pytest.fixture(scope="module")
def ports(shelf: Shelf, pki: Pki) -> Iterator[list[int]]:
    """Three servers of nginx; the last has other ticket keys."""
    shelf.put("good", pki.credential(NAME))
    for fill, name in enumerate(dict.fromkeys(KEYS), start=1):
        (shelf.folder / f"{name}.ticket").write_bytes(bytes([fill]) * 80)
    chosen = free_ports(len(KEYS))
    blocks = "".join(
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate good.crt; "
        f"ssl_certificate_key good.key; ssl_session_ticket_key {key}.ticket; }}\n"
        for port, key in zip(chosen, KEYS, strict=True)
    )
    (shelf.folder / "tickets.conf").write_text(
        "daemon off; master_process off; pid tickets.pid; events { worker_connections 64; }\n"
        "http { access_log off; ssl_protocols TLSv1.2 TLSv1.3; client_body_temp_path body;\n"
        "proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;\n"
        f"scgi_temp_path scgi; {blocks} }}\n"
    )
    log = shelf.folder / "tickets.log"
    command = [
        program("nginx"), "-p", f"{shelf.folder}/", "-e", log.name,
        "-c", str(shelf.folder / "tickets.conf"),
    ]  # fmt: skip
    with running(command, log, ports=chosen):
        yield chosen


@pytest.mark.parametrize("kind", ["default", "tls13", "tls12-ecdsa"])
async def test_nginx_resumes_with_its_own_keys_and_refuses_others_in_peace(
    probe: Probe, ports: list[int], kind: ProfileName
) -> None:
    await _first_two_resume(probe, ports, kind)


@pytest.fixture(scope="module")
def fronts(shelf: Shelf, pki: Pki) -> Iterator[list[int]]:
    """Three HAProxies, each a process; the last has other ticket keys."""
    shelf.put("good", pki.credential(NAME))
    chosen = free_ports(len(KEYS))
    with ExitStack() as stack:
        for number, (port, name) in enumerate(zip(chosen, KEYS, strict=True)):
            # HAProxy wants three keys or more, and hands out tickets with the last but one.
            keys = [base64.b64encode(f"{name}{n}".encode().ljust(80, b"-")) for n in range(3)]
            (shelf.folder / f"{name}.keys").write_bytes(b"\n".join(keys) + b"\n")
            file = shelf.folder / f"haproxy-{number}.cfg"
            file.write_text(
                "defaults\n    mode http\n    timeout client 5s\n    timeout connect 1s\n"
                f"frontend edge\n    bind 127.0.0.1:{port} ssl crt good.pem "
                f"tls-ticket-keys {name}.keys\n    http-request return status 200\n"
            )
            command = [program("haproxy"), "-db", "-C", shelf.folder, "-f", file.name]
            stack.enter_context(running(command, file.with_suffix(".log"), ports=[port]))
        yield chosen


@pytest.mark.parametrize("kind", ["default", "tls13", "tls12-ecdsa"])
async def test_haproxy_resumes_with_its_own_keys_and_refuses_others_in_peace(
    probe: Probe, fronts: list[int], kind: ProfileName
) -> None:
    await _first_two_resume(probe, fronts, kind)


async def _first_two_resume(probe: Probe, ports: list[int], kind: ProfileName) -> None:
    """Look at three edges in turn, of which the last does not know the keys of the others."""
    profile = ClientProfile(kind=kind, resumption="across_edges")
    outcomes = []
    for port in ports:
        result = await probe(port, profile=profile)
        assert (said(result), result.session is None) == ("passed", False)
        assert result.session is not None
        outcomes.append((result.session.outcome, result.session.giver))
    first = f"127.0.0.1:{ports[0]}"
    assert outcomes[:2] == [("untried", ""), ("resumed", first)]
    assert outcomes[2][0] == "refused"


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
async def test_two_servers_of_openssl_refuse_each_others_tickets(
    probe: Probe, shelf: Shelf, pki: Pki, version: str
) -> None:
    shelf.put("good", pki.credential(NAME))
    profile = ClientProfile(resumption="across_edges")
    with s_server(shelf, "good", version) as one, s_server(shelf, "good", version) as two:
        for port, outcome in ((one, "untried"), (two, "refused"), (one, "refused")):
            result = await probe(port, profile=profile)
            assert said(result) == "passed"
            assert result.session is not None
            assert result.session.outcome == outcome


async def test_the_command_shows_what_a_ticket_breaks(tmp_path: Path) -> None:
    async with open_world(tmp_path, Layout(domains=store_names(1))) as world:
        edges = Edges(world)
        await world.inject("tickets")
        broken = Where(edges=frozenset({edges.places[1].name}))
        await world.inject("tickets_refused_with_alert", broken)
        await edges.probe(0)
        result = await edges.probe(1)
        assert said(result) == "tls/resumption_failed"
        shown = await trio.to_thread.run_sync(paste, result.command)
    assert "alert decrypt error" in shown

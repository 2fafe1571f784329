from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio

from probe.lab.board import Where
from probe.lab.info import Layout, WorldInfo, store_names
from probe.lab.places import Place
from probe.lab.process import LabDied, RemoteLab, open_lab_process
from probe.lab.world import MULTI_CDN

LAYOUT = Layout(domains=store_names(2))


async def shake_hands(info: WorldInfo, place: Place, name: str) -> None:
    context = ssl.create_default_context(cafile=info.roots)
    tcp = await trio.open_tcp_stream(place.ip, place.port)
    tls = trio.SSLStream(tcp, context, server_hostname=name)
    try:
        await tls.do_handshake()
    finally:
        await trio.aclose_forcefully(tls)


async def test_faults_are_switched_across_processes(tmp_path: Path) -> None:
    async with open_lab_process(tmp_path, LAYOUT) as lab:
        edge = lab.info.seen("sa-east", "cdn-b")[1]
        where = Where(domains=frozenset({"store-002.example"}), edges=frozenset({edge.name}))
        number = await lab.inject("expired", where, probability=0.4)
        (broken,) = await lab.truth()
        assert (broken.fault, broken.domain, broken.edge) == (
            "expired",
            "store-002.example",
            edge.label,
        )
        assert (broken.region, broken.provider, broken.probability) == ("sa-east", "cdn-b", 0.4)
        await lab.remove(number)
        assert await lab.truth() == ()
        await lab.inject("refused", where)
        await lab.clear()
        assert await lab.truth() == ()
        await lab.move(["store-001.example"], MULTI_CDN)
    assert all(process.returncode is not None for process in lab.processes)


async def test_an_order_that_makes_no_sense_is_refused_and_the_lab_goes_on(tmp_path: Path) -> None:
    async with open_lab_process(tmp_path, LAYOUT) as lab:
        with pytest.raises(ValueError, match="no_such_fault"):
            await lab.inject("no_such_fault")
        with pytest.raises(ValueError, match="nowhere"):
            await lab.move(["store-001.example"], "nowhere.example")
        assert await lab.truth() == ()


async def test_a_lab_that_died_says_so(tmp_path: Path) -> None:
    async with open_lab_process(tmp_path, LAYOUT) as lab:
        lab.processes[0].kill()
        await lab.processes[0].wait()
        with pytest.raises(LabDied):
            await lab.truth()


async def test_a_cancelled_lab_leaves_no_process(tmp_path: Path) -> None:
    kept: list[RemoteLab] = []
    with trio.CancelScope() as scope:
        async with open_lab_process(tmp_path, LAYOUT) as lab:
            kept.append(lab)
            scope.cancel()
            await trio.sleep_forever()
    assert all(process.returncode is not None for process in kept[0].processes)


async def test_edges_and_platform_are_served_and_trusted_from_two_processes(
    tmp_path: Path,
) -> None:
    async with open_lab_process(tmp_path, LAYOUT) as lab:
        assert set(lab.info.resolvers) == set(lab.info.layout.regions)
        for provider, name in (("cdn-a", "store-001.example"), ("api", "platform.io.example")):
            for place in lab.info.seen("us-east", provider):
                await shake_hands(lab.info, place, name)


def test_what_is_known_of_a_lab_survives_the_way_to_another_process() -> None:
    info = WorldInfo(LAYOUT, (), {"sa-east": ("127.0.0.1", 53)}, "roots.pem", True)
    assert WorldInfo.from_json(info.to_json()) == info


async def test_what_faults_did_is_counted_where_they_did_it(tmp_path: Path) -> None:
    async with open_lab_process(tmp_path, LAYOUT) as lab:
        edge = lab.info.seen("sa-east", "cdn-a")[0]
        number = await lab.inject("alert_internal_error", Where(edges=frozenset({edge.name})))
        for name in ("store-001.example", "store-001.example", "store-002.example"):
            with pytest.raises(trio.BrokenResourceError):
                await shake_hands(lab.info, edge, name)
        await lab.remove(number)
        await shake_hands(lab.info, edge, "store-001.example")
        struck = {(one.number, one.domain, one.edge): one.times for one in await lab.struck()}
    assert struck == {
        (number, "store-001.example", edge.name): 2,
        (number, "store-002.example", edge.name): 1,
    }

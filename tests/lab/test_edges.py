from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trio
from OpenSSL import SSL

from probe.lab import places
from probe.lab.board import Where
from probe.lab.info import Layout, store_names
from probe.lab.places import Place
from probe.lab.world import World, open_world

STORE = "store-001.example"


async def connect(
    world: World, place: Place, name: str | None
) -> trio.SSLStream[trio.SocketStream]:
    context = ssl.create_default_context(cafile=world.info.roots)
    if name is None:
        context.check_hostname = False
    tcp = await trio.open_tcp_stream(place.ip, place.port)
    tls = trio.SSLStream(tcp, context, server_hostname=name, https_compatible=True)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(tls)
        raise
    return tls


def say_and_leave(place: Place, data: bytes) -> trio.socket.SocketType:
    """Everything in one go, before the edge has its turn."""
    client = socket.create_connection((place.ip, place.port))
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    return trio.socket.from_stdlib_socket(client)


async def test_every_edge_serves_every_store_with_its_own_certificate(world: World) -> None:
    for place in world.info.seen("eu-west", "cdn-a"):
        for store in world.info.layout.domains:
            tls = await connect(world, place, store)
            await tls.aclose()
        assert world.edges[place.name].handshakes == len(world.info.layout.domains)


async def test_a_name_that_no_edge_knows_is_refused_with_the_alert_for_it(world: World) -> None:
    place = world.info.seen("eu-west", "cdn-a")[0]
    with pytest.raises(trio.BrokenResourceError) as broken:
        await connect(world, place, "unknown.example")
    assert isinstance(broken.value.__cause__, ssl.SSLError)
    assert broken.value.__cause__.reason == "TLSV1_UNRECOGNIZED_NAME"


async def test_a_client_without_a_name_gets_the_certificate_of_the_edges_themselves(
    world: World,
) -> None:
    tls = await connect(world, world.info.seen("eu-west", "cdn-a")[0], None)
    certificate = tls.getpeercert()
    assert certificate["subjectAltName"] == (("DNS", "*.edges.example"),)
    await tls.aclose()


async def test_a_client_that_has_hung_up_costs_no_handshake(world: World) -> None:
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    client.set_tlsext_host_name(STORE.encode())
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    place = world.info.seen("eu-west", "cdn-a")[0]
    gone = say_and_leave(place, client.bio_read(65536))
    async with trio.SocketStream(gone) as stream:
        assert await stream.receive_some() == b""
    assert world.edges[place.name].handshakes == 0


async def test_a_fault_can_be_put_on_and_taken_off_a_listening_address(world: World) -> None:
    place = world.info.seen("eu-west", "cdn-a")[0]
    number = await world.inject("refused", Where(edges=frozenset({place.name})))
    with pytest.raises(OSError, match="failed"):
        await connect(world, place, STORE)
    await world.remove(number)
    tls = await connect(world, place, STORE)
    await tls.aclose()


async def test_where_only_one_loopback_address_exists_edges_differ_by_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "whole_loopback", lambda: False)
    async with open_world(tmp_path, Layout(domains=store_names(1))) as world:
        assert {place.ip for place in world.info.places} == {"127.0.0.1"}
        assert len({place.port for place in world.info.places}) == len(world.info.places)
        for place in (world.info.places[0], world.info.places[-3]):
            tls = await connect(world, place, STORE)
            await tls.aclose()


async def test_the_truth_is_every_store_and_edge_that_a_fault_covers(world: World) -> None:
    edges = frozenset(place.name for place in world.info.seen("sa-east", "cdn-b")[:2])
    stores = frozenset({"store-001.example", "store-002.example"})
    await world.inject("expired", Where(domains=stores, edges=edges), probability=0.4)
    await world.inject("authorization_500")
    truth = await world.truth()
    assert {(one.domain, one.edge) for one in truth} == {
        (store, world.info.place(edge).label) for store in stores for edge in edges
    }
    await world.clear()
    assert await world.truth() == ()

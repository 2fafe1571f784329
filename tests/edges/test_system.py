"""What this host says about names and routes."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.edges.system import WatchedFile, has_route, parse_hosts, parse_resolv_conf
from probe.model.spec import NameServer


def test_a_hosts_file_gives_every_address_of_a_name() -> None:
    text = """
127.0.0.1 localhost loopback # comment
::1       localhost
192.0.2.1 Shop.Example. shop
192.0.2.2 shop.example
192.0.2.2 shop.example
# 192.0.2.3 shop.example
not-an-address shop.example
192.0.2.4
"""
    assert parse_hosts(text) == {
        "localhost": ("127.0.0.1", "::1"),
        "loopback": ("127.0.0.1",),
        "shop.example": ("192.0.2.1", "192.0.2.2"),
        "shop": ("192.0.2.1",),
    }


def test_name_servers_and_search_domains_are_taken_in_order() -> None:
    text = """
; a comment
search cluster.local svc.cluster.local
options ndots:5 timeout:1
nameserver 10.96.0.10
nameserver fe80::1%lo
nameserver 10.96.0.10
nameserver somewhere.example
nameserver
"""
    found = parse_resolv_conf(text)
    assert found.servers == (NameServer("10.96.0.10"), NameServer("fe80::1%lo"))
    assert found.search == ("cluster.local", "svc.cluster.local")


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("", ()),
        (
            "search NS.svc.example. svc.example\noptions ndots:5\n",
            ("ns.svc.example", "svc.example"),
        ),
        ("search a.example\ndomain b.example\n", ("b.example",)),
        ("search\n# search x.example\n", ()),
        ("search .\n", ()),
    ],
)
def test_the_last_line_of_search_domains_holds(text: str, domains: tuple[str, ...]) -> None:
    assert parse_resolv_conf(text).search == domains


@pytest.mark.parametrize("text", ["", "search example\n", "nameserver x\n"])
def test_without_name_servers_the_local_one_is_asked_as_the_manual_page_says(text: str) -> None:
    assert parse_resolv_conf(text).servers == (NameServer("127.0.0.1"),)


def test_a_watched_file_is_read_again_when_it_changed_and_not_looked_at_all_the_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hosts"
    watched = WatchedFile(path, str.splitlines, pause=5.0)
    assert watched.value(0.0) == [], "a missing file is an empty one"
    path.write_text("one\n")
    assert watched.value(4.9) == []
    assert watched.value(5.0) == ["one"]
    path.write_text("three\n")
    assert watched.value(9.9) == ["one"]
    assert watched.value(10.0) == ["three"]
    path.unlink()
    assert watched.value(15.0) == []


def test_there_is_a_route_to_loopback_wherever_ipv6_is_there_at_all() -> None:
    on = Path("/proc/net/if_inet6")
    assert has_route("::1") == (on.exists() and "0" * 31 + "1" in on.read_text())


def test_there_is_no_route_through_an_interface_that_is_not_there() -> None:
    assert has_route("fe80::1%no-such-interface") is False

"""Reads what the agents say of themselves, from the same JSON that anybody can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from probe.demo.picture import RegionPicture
from probe.demo.verdict import Seen

_CONFIRMED = frozenset({"failing", "flapping"})
_TIMEOUT = 3.0
_MOST_EDGES = 10_000


async def look(client: httpx.AsyncClient, region: str, url: str) -> RegionPicture:
    """What an agent says now; a picture without a number of edges when it says nothing."""
    try:
        answer = await client.get(
            f"{url}/api/v1/status", params={"edges": _MOST_EDGES}, timeout=_TIMEOUT
        )
        answer.raise_for_status()
        document = answer.json()
    except (httpx.HTTPError, ValueError):
        return RegionPicture(region, url, None, 0, ())
    totals = document["totals"]
    return RegionPicture(
        region, url, totals["edges"], totals["flows"], tuple(read(document, region))
    )


def read(document: Mapping[str, Any], region: str) -> Iterator[Seen]:
    """What fails by an agent's status document, confirmed."""
    for edge in document["edges"]:
        if edge["state"] in _CONFIRMED:
            yield _seen(region, edge, edge["edge"], "edge", edge["because"])
    for flow in document["flows"]:
        if flow["state"] in _CONFIRMED and flow["layer"] != "inconclusive":
            yield _seen(region, flow, "", flow["layer"], flow["why"])
    for name in document["names"]:
        if not name["edges"]:  # else what was known before is still probed
            yield _seen(region, name, "", "resolve")


def _seen(region: str, one: Mapping[str, Any], edge: str, layer: str, because: str = "") -> Seen:
    return Seen(
        region=region,
        check=one["check"],
        provider=one["provider"],
        target=one["target"],
        edge=edge,
        layer=layer,
        reason=one["reason"],
        because=because,
    )

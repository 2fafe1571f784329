"""The pages in a real browser: axe finds nothing grave, and nothing is wider than the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from itertools import cycle
from pathlib import Path

import pytest
import trio

from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import Listen
from probe.serve import Store, application, serve
from tests.support.browser import Browser, chromium

from .test_cards import Town
from .world import filled

pytestmark = [pytest.mark.real, pytest.mark.slow]

LOOKS = (((390, "light"), (1280, "dark")), ((390, "dark"), (1280, "light")))
"""Widths and schemes in turn: a page has one pair, the next page the other."""

UNRELATED = (
    Failure(Phase.CERTIFICATE, Reason.EXPIRED, "ended yesterday"),
    Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH, "the certificate is for www.other.example"),
    Failure(Phase.CERTIFICATE, Reason.MISSING_INTERMEDIATE, "no certificate of the issuer"),
    Failure(Phase.CONNECT, Reason.REFUSED),
    Failure(Phase.CONNECT, Reason.TIMEOUT, "no answer in 10 s"),
    Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME),
    Failure(Phase.TLS, Reason.RESET),
    Failure(Phase.TLS, Reason.ALERT_PROTOCOL_VERSION),
    Failure(Phase.CERTIFICATE, Reason.WEAK_KEY, "an RSA key of 1,024 bits"),
)
"""One for each of nine targets."""

GRAVE = """(async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`));
})()"""

TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

STANDS = "for (let one = 0; one < 1000; one++) clearInterval(one)"
"""Ends the renewal, so that the page stays as it is while it is examined."""


def nine_faults() -> Store:
    """Nine targets, each of which fails in a way of its own."""
    town = Town()
    for name, failure in zip(town.names, UNRELATED, strict=True):
        town.fail(name, failure)
    return town.store


@asynccontextmanager
async def served(store: Store) -> AsyncIterator[str]:
    """Serve the pages of this store; afterwards nobody answers there."""
    async with trio.open_nursery() as nursery:
        start = partial(serve, application(store), Listen("127.0.0.1", 0))
        yield await nursery.start(partial(start, stop=trio.sleep_forever))
        nursery.cancel_scope.cancel()


async def loaded(browser: Browser, url: str) -> None:
    await browser.open(url)
    with trio.fail_after(60):
        while not await browser.asked("document.readyState == 'complete' && !!document.title"):
            await trio.sleep(0.1)


async def examined(browser: Browser, what: str, looks: Iterable[tuple[int, str]]) -> None:
    """Hold the page to axe and to its width, in each of these looks."""
    await browser.asked(STANDS)
    await browser.asked((files("axe_core_python") / "axe.min.js").read_text("utf-8") + ";0")
    for width, scheme in looks:
        await browser.look(width=width, scheme=scheme)
        assert await browser.asked(GRAVE) == [], (what, width, scheme)
        assert await browser.asked(TOO_WIDE) <= 0, (what, width, scheme)


async def test_axe_finds_nothing_grave_and_nothing_is_wider_than_the_screen(tmp_path: Path) -> None:
    target = "/target/store-00000.example"
    looks = cycle(LOOKS)
    with trio.fail_after(280):
        async with chromium(tmp_path / "profile") as browser:
            calm = filled(broken_targets=0, cli_broken=False)
            for store, paths in (
                (calm, ("/",)),
                (filled(targets=9), ("/", "/targets", target)),
                (nine_faults(), ("/", "/targets?state=failing", "/target/s1.example")),
            ):
                async with served(store) as address:
                    for path in paths:
                        await loaded(browser, f"{address}{path}")
                        await examined(browser, path, next(looks))
            async with served(filled()) as address:
                await loaded(browser, address)
            await browser.until(lambda one: "does not answer" in one["alarm"], 60)
            await examined(browser, "dead", (*LOOKS[0], *LOOKS[1]))


async def test_axe_is_there_and_finds_what_is_wrong(tmp_path: Path) -> None:
    async with served(filled(targets=1)) as address, chromium(tmp_path / "profile") as browser:
        await loaded(browser, address)
        await browser.asked("document.querySelector('main').innerHTML = '<input><p><img src=x>'")
        with pytest.raises(AssertionError, match="image-alt"):
            await examined(browser, "broken on purpose", LOOKS[0])

"""Counting as things change gives what counting everything anew would give."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.state import CONFIRMED, EdgeStatus
from probe.model.target import EdgeKey
from probe.serve.census import Census, Through, Trouble, failing
from probe.serve.records import TROUBLED

KEYS = [
    EdgeKey("c", target, provider, edge, client)
    for target in ("a", "b")
    for provider in ("x", "y")
    for edge in ("192.0.2.1:443", "192.0.2.2:443")
    for client in ("default", "tls12-rsa")
]
NOT_KNOWN = (EdgeStatus.UNKNOWN, EdgeStatus.UNSEEN)
RESET = Failure(Phase.TLS, Reason.RESET)
EXPIRED = Failure(Phase.CERTIFICATE, Reason.EXPIRED)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.none() | st.sampled_from(list(EdgeStatus)),
        st.sampled_from([RESET, EXPIRED, None]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_counts_follow_every_change(
    steps: list[tuple[EdgeKey, EdgeStatus | None, Failure | None]],
) -> None:
    census = Census()
    known: dict[EdgeKey, EdgeStatus] = {}
    for at, (key, status, failure) in enumerate(steps):
        if status is None:  # it goes
            if known.pop(key, None) is not None:
                census.remove(key)
            continue
        if key not in known:
            census.add(key)
        known[key] = status
        census.judge(key, status, float(at), failure)
    for provider in ("x", "y"):
        own = {key: status for key, status in known.items() if key.provider == provider}
        seen = census.providers.get(Through("c", provider))
        if seen is None:
            assert not own
            continue
        assert set(seen.members) == set(own)
        known_now = [key for key, status in own.items() if status not in NOT_KNOWN]
        assert set(seen.edges) == {key.edge for key in known_now}
        assert set(seen.targets) == {key.target for key in known_now}
        assert set(seen.troubles) == {key for key, status in own.items() if status in TROUBLED}
        bad = {key for key, status in own.items() if status in CONFIRMED}
        now = failing(seen.groups())
        assert now.targets == len({key.target for key in bad})
        assert now.edges == len({key.edge for key in bad})
        assert seen.probed == len(known_now)
        assert sum(group.probed for group in seen.groups()) == len(seen.troubles)


def test_a_passing_attempt_on_a_flapping_edge_keeps_the_reason() -> None:
    census, key = Census(), KEYS[0]
    census.add(key)
    census.judge(key, EdgeStatus.FLAPPING, 5.0, RESET)
    census.judge(key, EdgeStatus.FLAPPING, 5.0, None)
    trouble = Trouble(key.target, key.edge, EdgeStatus.FLAPPING, (Phase.TLS, Reason.RESET), 5.0)
    assert census.of(key).troubles == {key: trouble}


def test_what_fails_alike_is_grouped_anew_only_after_a_change() -> None:
    """Pages and scrapes ask often, and ten thousand failing edges take long to group."""
    census = Census()
    key = EdgeKey("stores", "a.example", "cdn", "192.0.2.1:443", "default")
    provider = census.of(key)
    census.add(key)
    census.judge(key, EdgeStatus.FAILING, 1.0, Failure(Phase.TLS, Reason.TIMEOUT))
    before = provider.groups()
    census.judge(key, EdgeStatus.FAILING, 1.0, Failure(Phase.TLS, Reason.TIMEOUT))
    assert provider.groups() is before
    changes = (
        lambda: census.unsee(key, 5.0),
        lambda: census.see(key),
        lambda: census.name(key, named=False),
        lambda: census.judge(key, EdgeStatus.FLAPPING, 1.0, None),
        lambda: census.judge(key, EdgeStatus.PASSING, 2.0, None),
        lambda: census.remove(key),
    )
    for change in changes:
        before = provider.groups()
        change()
        assert provider.groups() is not before

"""What a server can make the judge work: bounded, and off the event loop when it is much."""

from __future__ import annotations

import threading
from functools import cache

import pytest
import trio
from cryptography import x509

from probe.certificates import Judge, Roots, Verdict, analysis, opinions, paths
from probe.certificates import question as question_module
from probe.certificates.certificate import Certificate
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations, Trust

from .authority import NOW, Made, ec_key, intermediate, issue, key_with_huge_exponent, leaf, root
from .authority import dn as name_of
from .case import judge_chain

AT = NOW.timestamp()


@cache
def many() -> tuple[Made, list[bytes]]:
    """A good chain and six strays: more than is judged on the event loop."""
    top = root()
    issuing = intermediate(top)
    strays = [intermediate(top, f"Stray {number}") for number in range(6)]
    return top, [made.der for made in (leaf(issuing), issuing, *strays)]


def judge_of(top: Made) -> Judge:
    roots = Roots.of([top.der])
    return Judge(lambda _: roots)


async def ask(judge: Judge, chain: list[bytes], name: str = "shop.example") -> Verdict:
    return await judge.judge(chain, name, AT, trust=Trust(), expect=ChainExpectations())


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which chains were analysed, in turn."""
    seen: list[threading.Thread] = []

    def noted(*args: object, **options: object) -> object:
        seen.append(threading.current_thread())
        return analysis.analyse(*args, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(question_module, "analyse", noted)
    return seen


async def test_a_large_chain_is_analysed_in_a_thread_and_once(
    threads: list[threading.Thread],
) -> None:
    top, chain = many()
    judge = judge_of(top)
    verdicts: list[Verdict] = []

    async def asked() -> None:
        verdicts.append(await ask(judge, chain))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(asked)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    assert len(set(map(id, verdicts))) == 1
    assert verdicts[0].accepted
    assert await ask(judge, chain) is verdicts[0]
    roots = Roots.of([top.der])
    alone = judge_chain(chain, "shop.example", AT, roots=roots, expect=ChainExpectations())
    assert verdicts[0] == alone


async def test_another_process_gives_the_same_verdict_and_teaches_the_same(
    threads: list[threading.Thread],
) -> None:
    top, chain = many()
    judge = Judge(lambda _: Roots.of([top.der]), elsewhere=True)
    verdict = await ask(judge, chain)
    assert verdict == await ask(judge_of(top), chain)
    assert len(threads) == 1, "the second was asked here"
    assert await ask(judge, chain) is verdict
    assert (await ask(judge, chain, "other.example")).failures[0].reason is Reason.NAME_MISMATCH
    alone = await ask(judge, chain[:1])
    assert alone.failures[0].reason is Reason.MISSING_INTERMEDIATE, "it knows the intermediate"
    strange = await ask(judge, [b"no certificate", *chain])
    assert [failure.reason for failure in strange.failures] == [Reason.UNPARSABLE]


async def test_a_process_that_dies_is_ours_and_no_verdict_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    top, chain = many()
    judge = Judge(lambda _: Roots.of([top.der]), elsewhere=True)
    with monkeypatch.context() as soon:
        soon.setattr("probe.net.apart.LONGEST", 0.0)
        (failure,) = (await ask(judge, chain)).failures
    assert failure.reason is Reason.LOCAL_RESOURCE
    assert failure.detail == "the process that judges 8 certificates took over 0 s"
    assert (await ask(judge, chain)).accepted


async def test_an_ordinary_chain_is_analysed_at_once(threads: list[threading.Thread]) -> None:
    top, chain = many()
    await ask(judge_of(top), chain[:2])
    assert threads == [threading.current_thread()]


async def test_a_long_certificate_or_staple_is_large_too(threads: list[threading.Thread]) -> None:
    top, chain = many()
    names = [f"shop{number:04}.example" for number in range(1000)]
    await ask(judge_of(top), [leaf(top, *names).der])
    await judge_of(top).judge(
        chain[:2], "x.example", AT, trust=Trust(), expect=ChainExpectations(), staple=b"x" * 20_000
    )
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_a_cancelled_attempt_leaves_the_judge_usable(
    threads: list[threading.Thread],
) -> None:
    top, chain = many()
    judge = judge_of(top)
    with trio.move_on_after(0):
        await ask(judge, chain)
    assert (await ask(judge, chain)).accepted


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Subjects of the issuers whose keys verified a signature in the search for paths."""
    made: list[str] = []

    def noted(certificate: Certificate, issuer: Certificate) -> bool:
        made.append(issuer.facts.subject)
        return opinions.signed_by(certificate, issuer)

    monkeypatch.setattr(paths, "signed_by", noted)
    return made


def test_namesakes_that_sign_themselves_share_one_bound(verified: list[str]) -> None:
    """Seventy authorities of one name: sixteen signatures are verified, none to read them."""
    top = root()
    authority = intermediate(top, "Crowd", "")
    crowd = [issue(name_of("Crowd"), None, key=ec_key()) for _ in range(70)]
    server = leaf(authority, names_issuer_key=False)
    verdict = judge_chain(
        [server.der, *(made.der for made in crowd)],
        "shop.example",
        AT,
        roots=Roots.of([top.der]),
        expect=ChainExpectations(),
    )
    assert len(verified) == paths.MAX_SIGNATURES
    assert not verdict.accepted


def test_no_signature_is_verified_with_a_huge_exponent(
    verified: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is OpenSSL asked, which would verify."""
    monkeypatch.setattr("probe.certificates.analysis.ask_openssl", None)
    top = root()
    authority = intermediate(top, "Crowd", "", key=key_with_huge_exponent())
    crowd = [
        issue(name_of("Crowd"), None, key=key_with_huge_exponent(), serial=number + 1)
        for number in range(10)
    ]
    verdict = judge_chain(
        [leaf(authority).der, *(made.der for made in crowd)],
        "other.example",
        AT,
        roots=Roots.of([top.der]),
        expect=ChainExpectations(),
    )
    assert verified == []
    reasons = [failure.reason for failure in verdict.failures]
    assert reasons[0] is Reason.NAME_MISMATCH
    assert set(reasons[1:]) == {Reason.WEAK_KEY, Reason.CHAIN_TOO_LONG}


def constrained(names: int, constraints: int) -> tuple[Made, list[bytes]]:
    """A leaf of many names under an authority that excludes many others."""
    top = root()
    excluded = [x509.DNSName(f"x{number:x}") for number in range(constraints)]
    issuing = intermediate(top, extra=[(x509.NameConstraints(None, excluded), True)])
    others = [f"{number:x}.example" for number in range(names - 1)]
    return top, [leaf(issuing, "shop.example", *others).der, issuing.der]


async def test_names_are_compared_with_constraints_in_a_thread(
    threads: list[threading.Thread],
) -> None:
    top, chain = constrained(1, 1)
    assert (await ask(judge_of(top), chain)).accepted
    assert threads != [threading.current_thread()]


def test_a_verifier_that_would_hold_the_interpreter_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a million comparisons: OpenSSL alone makes them, without the interpreter's lock."""
    top, chain = constrained(700, 800)
    monkeypatch.setattr("probe.certificates.opinions.PolicyBuilder", None)
    roots = Roots.of([top.der])
    verdict = judge_chain(chain, "shop.example", AT, roots=roots, expect=ChainExpectations())
    assert (verdict.accepted, verdict.warnings) == (True, ())


def test_a_root_with_a_huge_exponent_is_left_out() -> None:
    assert not Roots.of([root(key=key_with_huge_exponent()).der]).digests

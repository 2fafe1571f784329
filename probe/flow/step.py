"""One step of a flow: render, authenticate, call, judge, capture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from probe.auth.token import CLOCK_TOLERANCE, clock_off, clock_skew
from probe.flow import call, evidence
from probe.flow.access import Access, Ticket
from probe.flow.context import Context
from probe.flow.leisure import AT_ONCE, judged
from probe.flow.render import render
from probe.flow.values import Missing, Unsafe, tokens_named
from probe.http import answers as expect
from probe.http.answers import capture
from probe.http.response import Answered, Broken, Response
from probe.http.url import BadUrl
from probe.model.auth import EarlyRefusal, SigV4
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import Expect, Step
from probe.model.result import (
    Evidence,
    Inconclusive,
    Passed,
    Skipped,
    StepOutcome,
    StepResult,
    Timings,
    outcome_of,
)
from probe.model.secret import SecretError


async def http_step(run: Context, access: Access, step: Step) -> None:
    """Run a step; its results, and those of a login that it needs, go into the run."""
    try:
        lent: tuple[str, ...] = ()
        if run.check.auth:
            lent = tokens_named(step.request, step.expect.contains, run.check.headers)
        lacking = await access.lend(lent)
        ticket = await access.ticket(step.auth) if lacking is None else lacking
        if not isinstance(ticket, Ticket):
            run.results.append(StepResult(step.name, step.layer, ticket))
            return
        for attempt in range(max(1, step.attempts)):
            if not run.time_for(step):
                if attempt == 0:  # the login took it
                    run.results.append(StepResult(step.name, step.layer, Skipped(None)))
                break
            run.results.append(await _attempt(run, access, step, lent, attempt))
    except Missing as error:
        run.results.append(StepResult(step.name, step.layer, Skipped(error.name)))
    except (Unsafe, BadUrl, SecretError) as error:
        failure = run.clean(
            Failure(Phase.AUTH, Reason.SECRET_MISSING, str(error))
            if isinstance(error, SecretError)
            else call.unsafe(str(error))
        )
        run.results.append(StepResult(step.name, step.layer, Inconclusive(failure)))


async def _attempt(
    run: Context, access: Access, step: Step, lent: tuple[str, ...], attempt: int
) -> StepResult:
    """One attempt; two calls when a kept token turns out to have ended."""
    result, status = await _call(run, access, step, attempt)
    refused = _suspects(run, access, step, lent, result, status)
    newer = [name for name in refused if await access.renewed(name, step.name) is not None]
    if newer and await access.lend(lent) is None:
        before = result.attempts
        result, status = await _call(run, access, step, attempt)
        result = replace(result, attempts=before + result.attempts)
        if isinstance(result.outcome, Passed):  # else new tokens may fare no better
            result = _refused_early(result, [access.early_refusal(name) for name in newer])
    if status is not None:
        for name in lent:
            access.judged(name, step.name, accepted=isinstance(result.outcome, Passed))
        if step.auth is not None and step.auth not in lent:
            access.judged(step.auth, step.name, accepted=status != 401)
    return result


def _refused_early(result: StepResult, kinds: list[EarlyRefusal]) -> StepResult:
    """The result with a trace of the kept token that was refused."""
    assert isinstance(result.outcome, Passed)  # noqa: S101 - the caller has looked
    detail = "a kept token was refused before any known end of it; a new one was taken"
    warning = Failure(Phase.AUTH, Reason.TOKEN_REFUSED, detail)
    kind: EarlyRefusal = "degraded" if "degraded" in kinds else "counted"
    outcome = Passed((*result.outcome.warnings, warning))
    return replace(result, outcome=outcome, early_refusal=kind)


async def _call(
    run: Context, access: Access, step: Step, attempt: int
) -> tuple[StepResult, int | None]:
    """One call, and the status of its answer. A token's time is not in its deadline."""
    run.phase = Phase.SEND
    draft, wanted = render(step.request, run.material), _wanted(run, step)
    ticket = await access.ticket(step.auth)
    if not isinstance(ticket, Ticket):
        return StepResult(step.name, step.layer, ticket), None
    options = call.Options(
        deadline=run.step_deadline(step.timeout),
        redirects=step.request.follow_redirects,
        fresh=step.attempts > 1,
        turn=attempt,
    )
    made = await call.make(run, draft, ticket.signer, options)
    status = made.call.response.status if isinstance(made.call, Answered) else None
    return await _result(run, step, wanted, made, ticket), status


def _wanted(run: Context, step: Step) -> Expect:
    """What the answer must be, filled in before the call: what is missing costs no call.

    A persona's denial replaces what the step expects of everybody else.
    """
    if step.denied_to(run.persona) and not step.deny:
        return Expect()
    if not step.expect.contains:
        return step.expect
    return replace(step.expect, contains=tuple(map(run.values.fill, step.expect.contains)))


def _suspects(
    run: Context,
    access: Access,
    step: Step,
    lent: tuple[str, ...],
    result: StepResult,
    status: int | None,
) -> list[str]:
    """Entries whose kept token may have ended, by what the call answered.

    A token in its header is refused with a 401. One that is sent as content, say to be
    validated, may be refused in any words that are not those expected.
    """
    if status is None or step.denied_to(run.persona) or isinstance(result.outcome, Passed):
        return []
    names = [name for name in lent if access.kept(name)]
    refused = status == 401 and not expect.status_accepted(step.expect, 401)
    if refused and step.auth is not None and access.kept(step.auth) and step.auth not in names:
        names.append(step.auth)
    return names


async def _result(
    run: Context, step: Step, wanted: Expect, made: call.Made, ticket: Ticket
) -> StepResult:
    trip = made.call.facts
    timings = replace(trip.timings, lag=max(trip.timings.lag, run.lag()))
    match made.call:
        case Answered(answer):
            found = await _judged(run, step, wanted, answer, timings)
            outcome = outcome_of(found.failures, (*trip.warnings, *found.warnings))
            seen: Response | None = answer
        case Broken(failure, _, partial, others):
            outcome = outcome_of((failure, *others))
            seen = partial
    return StepResult(
        step=step.name,
        layer=step.layer,
        outcome=_clean(run, outcome),
        timings=timings,
        attempts=trip.requests,
        edge=trip.edge,
        handshake=trip.handshake,
        evidence=_evidence(run, step, made, ticket, seen, bad=not isinstance(outcome, Passed)),
    )


async def _judged(
    run: Context, step: Step, wanted: Expect, answer: Response, timings: Timings
) -> expect.Findings:
    """What is wrong with an answer; what it holds for later steps is learnt on the way."""
    if isinstance(run.auth(step.auth), SigV4) and answer.status in {400, 401, 403}:
        skew = clock_skew(answer, run.material.wall())
        if skew is not None and abs(skew) > CLOCK_TOLERANCE:
            return expect.Findings((clock_off(skew),))
    _keep_out_of_sight(run, step, answer)
    denied = step.denied_to(run.persona)
    json_due = denied and run.json_due(step)
    found = await judged(
        partial(
            expect.judge,
            wanted,
            answer,
            seconds=timings.total,
            denied=denied,
            json_due=json_due,
        ),
        patterns=expect.has_patterns(wanted),
        size=len(answer.body),
        deadline=run.deadline,
    )
    if isinstance(found, Failure):
        # What needs no patterns is known all the same, and must not hide behind them.
        plain = replace(wanted, matches=(), not_matches=(), headers=())
        rest = expect.judge(plain, answer, seconds=timings.total, denied=denied, json_due=json_due)
        return replace(rest, failures=rest.failures or (found,))
    if not expect.status_accepted(wanted, answer.status, denied=denied):
        return found
    if not step.captures or (denied and not step.deny):
        return found
    captured = await judged(
        partial(capture, step.captures, answer),
        patterns=any(one.source == "regex" for one in step.captures),
        size=len(answer.body),
        deadline=run.deadline,
    )
    if isinstance(captured, Failure):
        return replace(found, failures=(*found.failures, captured))
    run.values.learn(captured.values)
    for name in run.secret_captures() & captured.values.keys():
        run.redactor.add(captured.values[name], name)
    return replace(found, failures=(*found.failures, *captured.failures))


def _keep_out_of_sight(run: Context, step: Step, answer: Response) -> bool:
    """Learn the secrets that an answer holds, also one that is not accepted.

    Returns whether the answer may be shown: a secret that was not recognised cannot be redacted.
    """
    wanted = [one for one in step.captures if one.name in run.secret_captures()]
    cheap = [one for one in wanted if one.source != "regex" or len(answer.body) <= AT_ONCE]
    found = capture(cheap, answer).values if cheap else {}
    for name, value in found.items():
        run.redactor.add(value, name)
    looked = len(cheap) == len(wanted)
    return len(found) == len(wanted) or (looked and not answer.ok)


def _evidence(
    run: Context,
    step: Step,
    made: call.Made,
    ticket: Ticket,
    answer: Response | None,
    *,
    bad: bool,
) -> Evidence:
    command = ""
    if bad:
        signer = ticket.signer
        command = evidence.curl(
            made.draft,
            made.call.facts.edge,
            terms=run.curl_terms(),
            redactor=run.redactor,
            options=() if signer is None else signer.curl,
            hides=() if signer is None else signer.hides,
            seconds=run.check.timeout if step.timeout is None else step.timeout,
        )
    found = evidence.of_call(
        made.draft,
        answer,
        listed=(*run.check.evidence_headers, *run.check.instance_headers),
        redactor=run.redactor,
        trace_id=run.run_id,
        command=command,
        body=bad,
        redirects=made.redirects,
    )
    if found.body and answer is not None and not _keep_out_of_sight(run, step, answer):
        return replace(found, body=evidence.WITHHELD)
    return found


def _clean(run: Context, outcome: StepOutcome) -> StepOutcome:
    """The outcome with every detail redacted."""
    match outcome:
        case Passed(warnings):
            return Passed(tuple(run.clean(w) for w in warnings)) if warnings else outcome
        case Inconclusive(failure):
            return Inconclusive(run.clean(failure))
        case Skipped():
            return outcome
        case _:
            return replace(
                outcome,
                failure=run.clean(outcome.failure),
                others=tuple(run.clean(one) for one in outcome.others),
            )


def out_of_time(seconds: float) -> Failure:
    """The run was over before every step had begun."""
    detail = f"the flow ran out of time after {seconds:.1f} s"
    return Failure(Phase.WAIT, Reason.TIMEOUT, detail)

"""The steps of a flow: an HTTP call or a program. Each returns its results."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from probe.auth.tokens import CLOCK_TOLERANCE, clock_off, clock_skew
from probe.auth.values import Unsafe, fits_program
from probe.flow import call, command, evidence
from probe.flow.apart import run_apart
from probe.flow.credentials import Credentials, Granted, Withheld
from probe.flow.run import FlowRun
from probe.http import answers
from probe.http.messages import Answered, Broken, Request, Response
from probe.model.auth import SigV4
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.flow import Capture, Command, CommandStep, Expect, Step
from probe.model.result import (
    Inconclusive,
    OutOfTime,
    Passed,
    Skipped,
    StepOutcome,
    StepResult,
    Timings,
    outcome_of,
)

_Results = tuple[StepResult, ...]


async def http_step(run: FlowRun, credentials: Credentials, step: Step) -> _Results:
    """Make a step's calls; the results of logins that it needs stand before its own."""
    results: _Results = ()
    lent = run.plan.lent[step.name]
    for attempt in range(max(1, step.attempts)):
        granted = await credentials.for_step(step.auth, lent)
        results += granted.logins
        if isinstance(granted, Withheld):
            return (*results, _result(step, granted.why))
        if not run.time_for(step):  # the login or an earlier attempt took it
            return results if attempt else (*results, _result(step, Skipped(OutOfTime())))
        results += await _attempt(run, credentials, step, granted, attempt)
    return results


def _result(step: Step | CommandStep, outcome: StepOutcome) -> StepResult:
    return StepResult(step.name, step.layer, outcome)


async def _attempt(
    run: FlowRun, credentials: Credentials, step: Step, granted: Granted, attempt: int
) -> _Results:
    """Make one attempt: two calls when a kept token turns out to have ended."""
    lent = run.plan.lent[step.name]
    logins: _Results = ()
    result, status = await one_call(run, step, granted, attempt)
    suspects = _suspects(run, credentials, step, result, status)
    if suspects:
        newer, logins = await credentials.renew(suspects, step.name)
        again = await credentials.for_step(step.auth, lent) if newer else None
        if isinstance(again, Granted):
            before = result.attempts
            result, status = await one_call(run, step, again, attempt)
            result = replace(result, attempts=before + result.attempts)
            if isinstance(result.outcome, Passed):  # else new tokens may fare no better
                detail = "a kept token was refused before any known end of it; a new one was taken"
                warning = Failure(Phase.AUTH, Reason.TOKEN_REFUSED, detail)
                outcome = Passed((*result.outcome.warnings, warning))
                kind = credentials.early_refusal(newer)
                result = replace(result, outcome=outcome, early_refusal=kind)
    if status is not None:
        for name in lent:
            credentials.judged(name, step.name, accepted=isinstance(result.outcome, Passed))
        if step.auth is not None and step.auth not in lent:
            credentials.judged(step.auth, step.name, accepted=status != 401)
    return (*logins, result)


async def one_call(
    run: FlowRun, step: Step, granted: Granted, attempt: int = 0
) -> tuple[StepResult, int | None]:
    """Make one call; return its result and status. A token's time is not in its deadline."""
    phase = Phase.SEND
    try:
        prepared = run.prepare(partial(_prepared, run, step))
        if not isinstance(prepared, tuple):
            return _result(step, prepared), None
        request, wanted = prepared
        made = await call.make(
            run,
            request,
            granted.signer,
            deadline=run.step_deadline(step.timeout),
            bonds=run.plan.bonds[step.name],
            redirects=step.request.follow_redirects,
            plain=step.request.redirect_to_http,
            fresh=step.attempts > 1,
            turn=attempt,
        )
        phase = Phase.EXPECT
        result = await _judged(run, step, wanted, made, granted)
        return result, made.call.response.status if isinstance(made.call, Answered) else None
    except Exception as error:  # whatever we did wrong costs one call
        return _result(step, Inconclusive(defect(error, phase))), None


def _prepared(run: FlowRun, step: Step) -> tuple[Request, Expect]:
    """Fill in the request and what is expected of its response: what is missing costs no call.

    A persona's denial replaces what the step expects of everybody else.
    """
    request, wanted = run.whole(run.values.request(step.request)), step.expect
    if step.denied_to(run.plan.persona) and not step.deny:
        return request, Expect()
    if wanted.contains:
        wanted = replace(wanted, contains=tuple(map(run.values.fill, wanted.contains)))
    return request, wanted


def _suspects(
    run: FlowRun, credentials: Credentials, step: Step, result: StepResult, status: int | None
) -> list[str]:
    """Name the entries whose kept token may have ended, by what the call answered.

    A token in its header is refused with a 401. One that is sent as content, say to be
    validated, may be refused in any words that are not those expected.
    """
    if status is None or isinstance(result.outcome, Passed) or step.denied_to(run.plan.persona):
        return []
    found = [name for name in run.plan.lent[step.name] if credentials.kept(name)]
    refused = status == 401 and not answers.status_accepted(step.expect, 401)
    if refused and step.auth is not None and credentials.kept(step.auth) and step.auth not in found:
        found.append(step.auth)
    return found


async def _judged(
    run: FlowRun, step: Step, wanted: Expect, made: call.Exchange, granted: Granted
) -> StepResult:
    facts, response = made.call.facts, made.response
    match made.call:
        case Answered(whole):
            found, shown = await _examined(run, step, wanted, whole, facts.timings.total)
            found = _clock_is_off(run, step, whole) or found
            outcome = outcome_of(found.failures, (*facts.warnings, *found.warnings))
        case Broken(failure, others=others):
            shown = await _partial_shown(run, step, response)
            outcome = outcome_of((failure, *others))
    return StepResult(
        step=step.name,
        layer=step.layer,
        outcome=run.cleaned(outcome),
        timings=facts.timings,
        attempts=facts.requests,
        edge=facts.edge,
        handshake=facts.handshake,
        evidence=evidence.of_exchange(
            run,
            made,
            listed=(*run.check.evidence_headers, *run.check.instance_headers),
            bad=not isinstance(outcome, Passed),
            withheld=not shown,
            signer=granted.signer,
            seconds=step.timeout,
        ),
    )


async def _examined(
    run: FlowRun, step: Step, wanted: Expect, response: Response, seconds: float
) -> tuple[answers.Findings, bool]:
    """Return what is wrong with a whole response, and learn what it holds for later steps.

    Also returns whether the body may be shown: a secret that was not found cannot be redacted.
    """
    denied = step.denied_to(run.plan.persona)
    accepted = answers.status_accepted(wanted, response.status, denied=denied)
    learns = accepted and (step.deny or not denied)
    secret = _secret(run, step)
    captures = step.captures if learns else secret
    judge = partial(
        answers.judge,
        seconds=seconds,
        denied=denied,
        json_due=denied and run.check.json_due(step),
    )
    found = await run_apart(
        partial(answers.examine, partial(judge, wanted, response), captures, response),
        size=answers.cost(wanted, captures, response),
        deadline=run.deadline,
    )
    if isinstance(found, Failure):
        # What is cheap to know is known all the same, and must not hide behind the rest.
        cheap = replace(wanted, json=(), contains=(), matches=(), not_matches=(), headers=())
        rest = judge(cheap, response)
        return replace(rest, failures=rest.failures or (found,)), not secret
    findings, captured = found
    shown = _secrets_known(run, secret, captured, response)
    if learns:
        run.values.learn(captured.values)
        if captured.failures:
            findings = replace(findings, failures=(*findings.failures, *captured.failures))
    return findings, shown


async def _partial_shown(run: FlowRun, step: Step, response: Response | None) -> bool:
    """Learn the secrets in a response that is not whole; return whether its body may be shown."""
    secret = _secret(run, step)
    if response is None or not secret:
        return True
    captured = await run_apart(
        partial(answers.capture, secret, response),
        size=answers.cost(Expect(), secret, response),
        deadline=run.deadline,
    )
    return not isinstance(captured, Failure) and _secrets_known(run, secret, captured, response)


def _secret(run: FlowRun, step: Step) -> tuple[Capture, ...]:
    names = run.plan.secret_captures
    return tuple(one for one in step.captures if one.name in names) if names else ()


def _secrets_known(
    run: FlowRun, secret: tuple[Capture, ...], captured: answers.Captured, response: Response
) -> bool:
    """Tell the redactor every secret capture, even of a response that is not accepted."""
    for one in secret:
        if one.name in captured.values:
            run.redactor.add(captured.values[one.name], one.name)
    return not response.ok or all(one.name in captured.values for one in secret)


def _clock_is_off(run: FlowRun, step: Step, response: Response) -> answers.Findings | None:
    """Return the one finding on a signature that was refused because this host's clock is off."""
    entry = None if step.auth is None else run.plan.entries[step.auth]
    if isinstance(entry, SigV4) and response.status in {400, 401, 403}:
        skew = clock_skew(response, run.values.wall())
        if skew is not None and abs(skew) > CLOCK_TOLERANCE:
            return answers.Findings((clock_off(skew),))
    return None


async def command_step(run: FlowRun, credentials: Credentials, step: CommandStep) -> _Results:
    """Run a program; the results of logins that it needs stand before its own.

    Secrets reach a program through its environment or its stdin, never through its arguments,
    which every user of the host can see in the process list.
    """
    granted = await credentials.for_step(None, run.plan.lent[step.name])
    if isinstance(granted, Withheld):
        return (*granted.logins, _result(step, granted.why))
    try:
        given = run.prepare(partial(_program, run, step.command))
        if not isinstance(given, tuple):
            return (*granted.logins, _result(step, given))
        return (*granted.logins, await _run_program(run, step, *given))
    except Exception as error:  # whatever we did wrong costs one step
        return (*granted.logins, _result(step, Inconclusive(defect(error, Phase.SEND))))


def _program(run: FlowRun, spec: Command) -> tuple[command.Program, tuple[str, ...]]:
    """Fill in the program and what its output must contain."""
    arguments = tuple(map(run.values.fill_argument, spec.arguments))
    if any(run.redactor.knows(argument) for argument in arguments):
        raise Unsafe("secrets go into a program's environment or stdin, not its arguments")
    environment = {name: run.values.text(value) for name, value in spec.environment.items()}
    contains = tuple(map(run.values.fill, spec.contains))
    stdin = None if spec.stdin is None else run.values.text(spec.stdin)
    if not all(map(fits_program, (*arguments, *environment.values(), stdin or ""))):
        raise Unsafe("a program would be given a NUL or half a surrogate pair")
    data = None if stdin is None else stdin.encode()
    return command.Program(arguments, environment, data, spec.output_cap), contains


async def _run_program(
    run: FlowRun, step: CommandStep, program: command.Program, contains: tuple[str, ...]
) -> StepResult:
    spec = step.command
    traced = {"TRACEPARENT": run.traceparent(), **program.environment}
    deadline = run.step_deadline(step.timeout)
    ended = await command.run(replace(program, environment=traced), deadline)
    match ended:
        case command.Ran():
            found = await run_apart(
                partial(command.judge, spec, contains, ended),
                size=len(ended.stdout) if spec.matches or spec.json else 0,
                deadline=run.deadline,
            )
            wrong = [found] if isinstance(found, Failure) else found
            slow = answers.too_slow(spec.slower_than, ended.seconds)
            outcome = outcome_of(tuple(wrong), slow)
        case command.NotDone(failure):
            outcome = outcome_of((failure,))
    bad = not isinstance(outcome, Passed)
    return StepResult(
        step=step.name,
        layer=step.layer,
        outcome=run.cleaned(outcome),
        timings=Timings(total=ended.seconds, lag=run.lag()),
        attempts=1,
        evidence=evidence.of_program(run, program, ended, bad=bad),
    )

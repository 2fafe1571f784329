"""A step that runs a program: `probe.flow.command`, with a run's values and secrets.

Secrets reach a program through its environment or its stdin, never through its arguments,
which every user of the host can see in the process list.
"""

from __future__ import annotations

import shlex
import signal
from functools import partial

from probe.flow import command
from probe.flow.access import Access
from probe.flow.call import unsafe
from probe.flow.context import Context
from probe.flow.evidence import BODY_SHOWN, clip
from probe.flow.leisure import judged
from probe.flow.values import Missing, Unsafe, fits_program, tokens_named
from probe.http import answers as expect
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import Command, CommandStep
from probe.model.result import (
    Evidence,
    Inconclusive,
    Passed,
    Skipped,
    StepResult,
    Timings,
    outcome_of,
)
from probe.model.secret import SecretError


async def command_step(run: Context, access: Access, step: CommandStep) -> None:
    """Run a program; its result goes into the run."""
    spec = step.command
    lacking = await access.lend(tokens_named(spec.arguments, spec.environment, spec.stdin))
    if lacking is not None:
        run.results.append(StepResult(step.name, step.layer, lacking))
        return
    try:
        arguments = [run.values.fill_argument(text) for text in spec.arguments]
        if any(run.redactor.knows(argument) for argument in arguments):
            raise Unsafe("secrets go into a program's environment or stdin, not its arguments")
        environment = {k: run.material.text(v) for k, v in spec.environment.items()}
        contains = tuple(map(run.values.fill, spec.contains))
        stdin = None if spec.stdin is None else run.material.text(spec.stdin)
        if not all(map(fits_program, (*arguments, *environment.values(), stdin or ""))):
            raise Unsafe("a program would be given a NUL or half a surrogate pair")
    except Missing as error:
        run.results.append(StepResult(step.name, step.layer, Skipped(error.name)))
        return
    except Unsafe as error:
        failure = run.clean(unsafe(str(error)))
        run.results.append(StepResult(step.name, step.layer, Inconclusive(failure)))
        return
    except SecretError as error:
        failure = run.clean(Failure(Phase.AUTH, Reason.SECRET_MISSING, str(error)))
        run.results.append(StepResult(step.name, step.layer, Inconclusive(failure)))
        return
    ended = await command.run(
        arguments,
        {"TRACEPARENT": run.traceparent(), **environment},
        stdin=None if stdin is None else stdin.encode(),
        cap=spec.output_cap,
        deadline=run.step_deadline(step.timeout),
    )
    match ended:
        case command.Ran():
            found = await judged(
                partial(_judged, spec, contains, ended),
                patterns=bool(spec.matches),
                size=len(ended.stdout),
                deadline=run.deadline,
            )
            wrong = [found] if isinstance(found, Failure) else found
            outcome = outcome_of(
                tuple(map(run.clean, wrong)), expect.too_slow(spec.slower_than, ended.seconds)
            )
        case command.NotDone(failure):
            outcome = outcome_of((run.clean(failure),))
    run.results.append(
        StepResult(
            step=step.name,
            layer=step.layer,
            outcome=outcome,
            timings=Timings(total=ended.seconds, lag=run.lag()),
            attempts=1,
            evidence=_evidence(
                run, arguments, environment, ended, bad=not isinstance(outcome, Passed)
            ),
        )
    )


def _judged(spec: Command, contains: tuple[str, ...], ran: command.Ran) -> list[Failure]:
    failures = []
    if ran.code not in spec.exit_codes:
        detail = f"exit code {ran.code}" if ran.code >= 0 else f"killed by {_signal(-ran.code)}"
        failures.append(Failure(Phase.EXPECT, Reason.EXIT_CODE, detail))
    failures += expect.texts(
        ran.stdout.decode("utf-8", "replace"),
        contains=contains,
        matches=spec.matches,
        reason=Reason.OUTPUT,
        where="stdout",
    )
    if spec.json:
        try:
            document = expect.parse_json(ran.stdout)
        except expect.NotJson as error:
            what = "stdout is longer than its cap" if ran.cut else f"stdout is {error}"
            failures.append(Failure(Phase.EXPECT, Reason.JSON, what))
        else:
            failures += expect.conditions(spec.json, document)
    return failures


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _evidence(
    run: Context,
    arguments: list[str],
    environment: dict[str, str],
    ended: command.Ran | command.NotDone,
    *,
    bad: bool,
) -> Evidence:
    body = line = ""
    if bad:
        wrote = run.redactor.redact_foreign(ended.stdout.decode("utf-8", "replace")).strip()
        said = run.redactor.redact_foreign(ended.stderr.decode("utf-8", "replace")).strip()
        # What a program says on stderr is usually why it failed, so it comes first.
        body = clip("\n".join(part for part in (said, wrote) if part), BODY_SHOWN)
        own = [f"{name}={run.redactor.shell(value)}" for name, value in environment.items()]
        words = [run.redactor.shell(argument) for argument in arguments]
        line = " ".join((["env", *own] if own else []) + words)
    return Evidence(
        request=run.redactor.redact(shlex.join(arguments)),
        status=ended.code if isinstance(ended, command.Ran) else None,
        body=body,
        command=line,
        trace_id=run.run_id,
    )

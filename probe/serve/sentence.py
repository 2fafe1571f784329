"""One sentence that says how it stands. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from probe.serve.views import FlowProblem, Level, Problem, Totals


def clock(at: float, now: float) -> str:
    """A time of day in UTC, with the date when it is not today's."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S} UTC"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def level_of(problems: list[Problem], flows: list[FlowProblem], totals: Totals) -> Level:
    """Whether anything confirmed fails; else whether everything can be seen."""
    if flows or any(problem.confirmed for problem in problems):
        return Level.TROUBLE
    doubt = totals.edges_suspect or totals.flows_passing < totals.flows or totals.inconclusive
    if doubt or not (totals.edges or totals.flows):
        return Level.UNSURE
    if totals.unseen or totals.targets_awaited:
        return Level.UNSURE
    return Level.OK


def sentence_of(
    problems: list[Problem], flows: list[FlowProblem], totals: Totals, now: float
) -> str:
    """The gravest things in words; how many more there are; or that all passes.

    Args:
        problems: gravest first.
        flows: confirmed failures of flows, gravest first.
        totals: numbers over everything.
        now: wall time.
    """
    said = [_flow(flow, now) for flow in flows]
    said += [_problem(problem, now) for problem in problems if problem.confirmed]
    if said:
        more = len(said) - 2
        return "; ".join(said[:2]) + (f"; and {more} more" if more > 0 else "")
    if not (totals.edges or totals.flows or totals.unseen):
        return "No results yet"
    return _quiet(totals, now)


def _problem(problem: Problem, now: float) -> str:
    whom = _of(problem.targets_total, problem.of_targets, "target")
    since = clock(problem.since, now)
    if problem.edges_total:
        edges = _of(problem.edges_total, problem.of_edges, "edge")
        verb = "fails" if problem.edges_total == 1 else "fail"
        text = f"{edges} of {problem.provider} {verb} for {whom}"
    else:
        text = f"{problem.provider} has no address for {whom}"
    text = f"{text} since {since} — {problem.reason}"
    if problem.unseen_since is not None:
        text += f" ({problem.unseen:,} not looked at since {clock(problem.unseen_since, now)})"
    return text


def _flow(flow: FlowProblem, now: float) -> str:
    who = f"{flow.check} ({', '.join(flow.personas)})" if flow.personas else flow.check
    verb = "fails open" if flow.fails_open else "fails"
    if flow.of_targets > 1:
        verb = f"{verb} for {_of(flow.targets_total, flow.of_targets, 'target')}"
    if flow.fails_open:
        what = "a call that must be refused succeeded"
    else:
        what = f"the {flow.layer} layer" if flow.layer else flow.reason
    return f"{who} {verb} since {clock(flow.since, now)} — {what}"


def _quiet(totals: Totals, now: float) -> str:
    parts = []
    if totals.edges:
        whole, suspect = f"{totals.edges:,}", totals.edges_suspect
        part = f"{totals.edges - suspect:,} of {whole} edges pass, {suspect:,} under suspicion"
        parts.append(part if suspect else f"all {whole} edges pass")
    if totals.flows_passing < totals.flows:
        parts.append(f"{totals.flows_passing:,} of {totals.flows:,} flows pass")
    elif totals.flows:
        parts.append("the flow passes" if totals.flows == 1 else f"all {totals.flows:,} flows pass")
    said = [", ".join(parts)] if parts else []
    if totals.unseen_since is not None:
        since = clock(totals.unseen_since, now)
        said.append(f"nobody has looked at {totals.unseen:,} since {since}")
    if totals.targets_awaited:
        said.append(f"{totals.awaited:,} still to be looked at")
    if totals.inconclusive:
        said.append(f"{totals.inconclusive:,} cannot be judged: the fault is ours")
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def _of(some: int, whole: int, word: str) -> str:
    return f"{some:,} of {whole:,} {word}{'' if whole == 1 else 's'}"

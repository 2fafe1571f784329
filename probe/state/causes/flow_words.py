"""The cause of a flow's failure in a sentence, which claims only what was seen. Pure."""

from __future__ import annotations

from probe.model.failure import Failure, Reason
from probe.model.flow_cause import FLOW_SENTENCES, FlowCause
from probe.state.causes.calls import KEPT, NEW, NONE
from probe.state.causes.flow_planner import FlowEvidence, FlowSetting, FlowSettled
from probe.state.diagnosis.evidence import Mark

_SHOWN = 3


def sentence(
    settled: FlowSettled,
    setting: FlowSetting,
    evidence: FlowEvidence,
    failure: Failure,
    status: int | None,
) -> str:
    """Say what was found.

    Args:
        settled: the answer.
        setting: what was asked.
        evidence: what was seen.
        failure: of the failing call, and its status if it was answered.
        status: None where nothing was answered.
    """
    own, part = setting.call, settled.share is not None
    objects = "authenticated calls" if part else "every authenticated call"
    names = ", ".join(settled.members[:_SHOWN])
    more = len(settled.members) - _SHOWN
    names += f" and {more} more" if more > 0 else ""
    text = FLOW_SENTENCES[settled.cause].format(
        does=_does(setting.failing, failure, status),
        authenticated=objects,
        passing=_passing(settled.cause, own.host, evidence),
        hosts=names if settled.cause in (FlowCause.HOST, FlowCause.BACKEND) else own.host,
        personas=names,
        steps=names,
        addresses=names,
        targets=names,
        providers=names,
    )
    if settled.left:
        text += f" (left: {', '.join(settled.left)})"
    if settled.share is not None:
        text += f". It fails in {settled.share:.0%} of calls"
        if settled.cause is not FlowCause.UNDETERMINED:
            text += ", as when some of several servers behind an address are broken"
    return text


def _does(failing: Mark, failure: Failure, status: int | None) -> str:
    """Say what befalls calls, as a verb that they are the object of."""
    if failing is Mark.PAGE:
        return "answers with a web page"
    if failing is Mark.SILENT:
        return "gives no answer to" if failure.reason is Reason.TIMEOUT else "breaks off"
    if status is not None and failing is not Mark.OTHER:
        return f"answers {status} to"
    return "gives a wrong answer to"


def _passing(cause: FlowCause, host: str, evidence: FlowEvidence) -> str:
    """Name what passes, of all that this cause does not reach."""

    def passes(*calls: bool) -> bool:
        return any(calls)

    open_ = passes(
        *(
            tally.passed > 0 and not tally.failed
            for call, tally in evidence.items()
            if call.token == NONE and not call.login
        )
    )
    login = passes(*(t.passed > 0 and not t.failed for c, t in evidence.items() if c.login))
    kept = passes(*(t.passed > 0 for c, t in evidence.items() if c.token == KEPT))
    new = passes(*(t.failed > 0 for c, t in evidence.items() if c.token == NEW))
    match cause:
        case FlowCause.AUTHORIZATION:
            return _listed(
                "calls without a token" if open_ else "", "the login itself" if login else ""
            )
        case FlowCause.TOKEN:
            more = ", new ones too" if new else ""
            return more + _listed(
                "calls without a token" if open_ else "", "the login itself" if login else ""
            )
        case FlowCause.LOGIN:
            return _listed(
                "calls without a token" if open_ else "", "calls with a kept token" if kept else ""
            )
        case FlowCause.HOST:
            others = [t.passed > 0 and not t.failed for c, t in evidence.items() if c.host != host]
            return "; other hosts work" if passes(*others) else ""
        case FlowCause.BACKEND:
            bare = [
                tally.passed > 0 and not tally.failed
                for call, tally in evidence.items()
                if call.host == host and call.token == NONE
            ]
            return ", and without a token it answers as it must" if passes(*bare) else ""
        case _:
            return ""


def _listed(*parts: str) -> str:
    named = " and ".join(part for part in parts if part)
    return f": {named} pass" if named else ""

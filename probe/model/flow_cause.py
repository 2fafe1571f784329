"""What a confirmed failure of a flow depends on, and the experiments that settled it.

An *experiment* on a flow is one call that changes one thing of a failing call: the token, the
persona, the address, or which call it is. How it fits together is as in `probe.model.cause`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from probe.model.cause import OUTCOMES, Observed
from probe.model.failure import Failure, failure_fields
from probe.model.target import FlowKey


class FlowCause(StrEnum):
    """What a flow's failure depends on. Closed: what fits nothing is ``UNDETERMINED``."""

    AUTHORIZATION = "authorization"  # every call with a token, and no other
    TOKEN = "token"  # noqa: S105 - likewise, refused with a 401
    KEPT_TOKEN = "kept_token"  # noqa: S105 - a token of an earlier run; new ones work
    LOGIN = "login"
    ONE_PERSONA = "one_persona"
    FRONT = "front"  # every call, whatever it shows: the router, or what else is before all
    HOST = "host"  # every call to one host, with a token or without
    BACKEND = "backend"  # every call with a token to one host
    ENDPOINT = "endpoint"  # one call of several to its host
    ONE_ADDRESS = "one_address"
    ONE_TARGET = "one_target"
    ONE_PROVIDER = "one_provider"
    NO_HOST = "no_host"  # nothing gets through, wherever it goes
    RATE_LIMIT = "rate_limit"  # known without an experiment, and none is made

    UNDETERMINED = "undetermined"


FLOW_SENTENCES: Mapping[FlowCause, str] = MappingProxyType(
    {
        FlowCause.AUTHORIZATION: "the authorization layer {does} {authenticated}{passing}",
        FlowCause.TOKEN: "tokens are refused on every backend{passing}",
        FlowCause.KEPT_TOKEN: "tokens from an earlier login fail before they expire; new ones work",
        FlowCause.LOGIN: "the login at {hosts} fails{passing}",
        FlowCause.ONE_PERSONA: "only {personas} fails: the same calls pass for other personas",
        FlowCause.FRONT: "every call fails, with or without a token: check what is in front of "
        "all of them",
        FlowCause.HOST: "every call to {hosts} fails{passing}",
        FlowCause.BACKEND: "authenticated calls to {hosts} fail; those to other backends "
        "work{passing}",
        FlowCause.ENDPOINT: "only {steps} fails; other calls to {hosts} work",
        FlowCause.ONE_ADDRESS: "calls that {addresses} answers fail; other addresses work",
        FlowCause.ONE_TARGET: "only {targets} fails; other targets of the check work",
        FlowCause.ONE_PROVIDER: "it fails only through {providers}; the same calls work through "
        "other providers",
        FlowCause.NO_HOST: "no host of the flow can be reached from here: check this agent's own "
        "network first",
        FlowCause.RATE_LIMIT: "{hosts} limits the rate of calls (429); experiments would add calls",
        FlowCause.UNDETERMINED: "the cause could not be determined",
    }
)
"""What each cause means. What stands in braces is filled in from what was seen."""


def flow_meaning(cause: FlowCause) -> str:
    """Say in a sentence, without a full stop, what a cause means wherever it is found."""
    return FLOW_SENTENCES[cause].format(
        does="fails",
        authenticated="for every authenticated call",
        passing="",
        hosts="the host",
        personas="one persona",
        steps="one call",
        addresses="one address",
        targets="one target",
        providers="one provider",
    )


class FlowChange(StrEnum):
    """What an experiment changed of the failing call."""

    NOTHING = "same_call"
    NO_TOKEN = "no_token"  # noqa: S105 - what is changed, not a password
    NEW_TOKEN = "new_token"  # noqa: S105 - likewise
    PERSONA = "other_persona"
    ADDRESS = "other_address"
    CALL = "other_call"
    CONTROL = "control"
    TARGET = "other_target"
    PROVIDER = "other_provider"


FLOW_CHANGES: Mapping[FlowChange, str] = MappingProxyType(
    {
        FlowChange.NOTHING: "the same again",
        FlowChange.NO_TOKEN: "without a token",
        FlowChange.NEW_TOKEN: "a new login and its token",
        FlowChange.PERSONA: "another persona",
        FlowChange.ADDRESS: "another address",
        FlowChange.CALL: "another call of the flow",
        FlowChange.CONTROL: "a call that needs no credentials",
        FlowChange.TARGET: "another target",
        FlowChange.PROVIDER: "another provider",
    }
)
"""The same for people."""


@dataclass(frozen=True, slots=True)
class FlowExperiment:
    """One call, or several regular ones alike, and what came out.

    Attributes:
        step: the call; the name of an ``auth`` entry for a login.
        host: what it went to.
        address: that answered; empty when none was reached.
        token: ``none``, ``kept``, ``new`` or ``fixed``.
        detail: the failure as ``phase/reason``; empty when it passed.
        regular: it was a call of a regular run, and cost nothing.
        times: how many calls alike this stands for.
    """

    change: FlowChange
    step: str
    host: str
    address: str
    token: str
    target: str
    provider: str
    persona: str
    seen: Observed
    detail: str = ""
    regular: bool = False
    times: int = 1

    @property
    def line(self) -> str:
        """Say it in a line: what was changed, where, and what came out."""
        times = f" {self.times} times" if self.times > 1 else ""
        regular = " in regular runs" if self.regular else ""
        detail = f" ({self.detail})" if self.detail else ""
        what = f"{FLOW_CHANGES[self.change]}: {self.asked}"
        return f"{what}: {OUTCOMES[self.seen]}{times}{regular}{detail}"

    @property
    def asked(self) -> str:
        """Say which call it was."""
        token = "" if self.token in ("none", "fixed") else f", {self.token} token"
        at = f" at {self.address}" if self.address else ""
        persona = f" as {self.persona}" if self.persona else ""
        return f"{self.step} of {self.host}{at}{persona}{token}"

    def fields(self) -> dict[str, Any]:
        """Write it as texts and numbers, for the API and the log."""
        return {
            name: getattr(self, name)
            for name in (
                "change", "step", "host", "address", "token", "target", "provider", "persona",
                "seen", "detail", "regular", "times",
            )
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlowInvestigation:
    """An investigation of a flow that ended.

    Attributes:
        subject: the flow whose failure was investigated.
        step: the failing call; the name of an ``auth`` entry for a login.
        failure: of that call.
        sentence: the cause in a sentence, without a full stop.
        share: share of calls that fail, 0 to 1; None when all do.
        keys: the flows that this explains.
        left: causes that could not be told apart; empty unless undetermined.
        began: wall time, seconds since the epoch; likewise ``ended``.
        spent: calls made for it.
    """

    cause: FlowCause
    subject: FlowKey
    step: str
    failure: Failure
    sentence: str
    began: float
    ended: float
    experiments: tuple[FlowExperiment, ...] = ()
    share: float | None = None
    keys: frozenset[FlowKey] = field(default=frozenset(), compare=False)
    left: tuple[FlowCause, ...] = ()
    spent: int = 0

    def fields(self) -> dict[str, Any]:
        """Write it as texts, numbers and times, for the log."""
        return {
            **self.subject._asdict(),
            "step": self.step,
            **failure_fields(self.failure),
            "cause": self.cause.value,
            "because": self.sentence,
            "share": self.share,
            "left": [cause.value for cause in self.left],
            "spent": self.spent,
            "experiments": [one.line for one in self.experiments],
            "seconds": round(self.ended - self.began, 3),
        }

"""What the agent says of itself: what it is, what went wrong in it, and what it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from probe.model.failure import trace
from probe.serve.series import families
from probe.serve.series.family import Family, LabelPairs, Sample, clean
from probe.state.vantage import Health


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of targets as last looked at.

    Attributes:
        name: name of the target list.
        source: file pattern, URL, or ``static``.
        up: whether it answered the latest time with a list that can be used.
        targets: how many it last gave.
        rejected: entries, labels and groups of that list that cannot be used.
        answered_at: wall time when it last answered so; None before that.
        problem: why it is not up, or what was rejected.
        unused: targets beyond the list's limit.
        held_since: wall time since when it is held because it shrank; None while it is not.
    """

    name: str
    source: str
    up: bool
    targets: int = 0
    rejected: int = 0
    answered_at: float | None = None
    problem: str = ""
    unused: int = 0
    held_since: float | None = None


@dataclass(frozen=True, slots=True)
class Reload:
    """The latest attempt to load the configuration."""

    success: bool
    at: float
    problem: str = ""


class AgentFacts:
    """What is known of the agent.

    What others keep is asked for at each look, so that nothing shown is older than the look:
    whoever knows it sets ``health`` and ``sources``, and adds what tells more to ``readings``.

    Attributes:
        ready: the first configuration and targets are loaded.
        version: of the agent.
        digest: of the running configuration.
        regions: other agents are named, and their page is ``/regions``.
        reload: the latest attempt to load one.
        health: asked whether the vantage can be trusted; None before the first judgement.
        sources: asked how each source of targets is.
        readings: each asked for further samples of the group *agent*.
        on_defect: told the loop and the trace when one of these raises.
    """

    def __init__(self) -> None:
        self.ready = False
        self.version = ""
        self.digest = ""
        self.regions = False
        self.reload: Reload | None = None
        self.health: Callable[[], Health | None] = lambda: None
        self.sources: Callable[[], Sequence[SourceView]] = tuple
        self.readings: list[Callable[[], Iterable[Sample]]] = []
        self.on_defect: Callable[[str, str], object] = lambda _, __: None
        self._build: LabelPairs = ()
        self._loaded_at: float | None = None
        self._counts: Counter[tuple[Family, LabelPairs]] = Counter()

    def build(self, *, version: str, python: str, openssl: str) -> None:
        """Say what is running."""
        self.version = version
        self._build = (("openssl", openssl), ("python", python), ("version", version))

    def reloaded(self, *, success: bool, at: float, digest: str = "", problem: str = "") -> None:
        """Report an attempt to load the configuration.

        Args:
            success: whether it runs now; if not, the one before goes on.
            at: wall time.
            digest: of the new configuration, on success.
            problem: in a few words, otherwise.
        """
        self.reload = Reload(success, at, problem)
        if success:
            self.digest, self._loaded_at = digest, at

    def count(self, family: Family, by: int = 1, **labels: str) -> None:
        """Count events of a family; by 0, its counter exists before the first one."""
        self._counts[family, tuple(sorted(labels.items()))] += by

    def keep_checks(self, names: Container[str]) -> None:
        """Remove what was counted for other checks than these."""
        for one in list(self._counts):
            if any(name == "check" and value not in names for name, value in one[1]):
                del self._counts[one]

    def samples(self) -> Iterator[Sample]:
        """Every series of the agent, as of now."""
        for reading in (self._own, self._vantage, self._sources, self._counted, *self.readings):
            try:
                samples = list(reading())
            except Exception as error:
                # A defect in one of them costs its series and not the whole scrape.
                self.on_defect("report", trace(error))
                continue
            for family, value, labels in samples:
                yield family, value, tuple((name, clean(text)) for name, text in labels)

    def _own(self) -> Iterator[Sample]:
        if self._build:
            yield families.AGENT_BUILD_INFO, 1.0, self._build
        if self.digest:
            yield families.AGENT_CONFIG_INFO, 1.0, (("digest", self.digest),)
        if self.reload is not None:
            yield families.AGENT_CONFIG_LAST_RELOAD_SUCCESS, float(self.reload.success), ()
        if self._loaded_at is not None:
            yield families.AGENT_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, self._loaded_at, ()

    def _vantage(self) -> Iterator[Sample]:
        health = self.health()
        if health is not None:
            yield families.VANTAGE_HEALTHY, float(health.healthy), ()
            for cause in causes(health):
                yield families.VANTAGE_ILLNESS, 1.0, (("cause", cause),)
            for sign in sorted(health.unjudged):
                yield families.VANTAGE_UNJUDGED, 1.0, (("cause", sign.value),)
            if health.clock_offset is not None:
                yield families.VANTAGE_CLOCK_OFFSET, health.clock_offset, ()

    def _sources(self) -> Iterator[Sample]:
        # URLs that differ in their query alone have one label, because a query may hold a secret.
        alike: dict[tuple[str, str], list[SourceView]] = {}
        for one in self.sources():
            alike.setdefault((one.name, one.source), []).append(one)
        for (name, source), views in alike.items():
            labels = (("list", name), ("source", source))
            yield families.AGENT_DISCOVERY_UP, float(all(one.up for one in views)), labels
            answered = [one.answered_at for one in views if one.answered_at is not None]
            if len(answered) == len(views):
                yield families.AGENT_DISCOVERY_LAST_SUCCESS, min(answered), labels
                targets, rejected = (one.targets for one in views), (one.rejected for one in views)
                yield families.AGENT_DISCOVERY_TARGETS, float(sum(targets)), labels
                yield families.AGENT_DISCOVERY_REJECTED, float(sum(rejected)), labels
                unused = sum(one.unused for one in views)
                yield families.AGENT_DISCOVERY_UNUSED, float(unused), labels
            held = [one.held_since for one in views if one.held_since is not None]
            if held:
                yield families.AGENT_DISCOVERY_HELD_SINCE, min(held), labels

    def _counted(self) -> Iterator[Sample]:
        for (family, labels), count in self._counts.items():
            yield family, float(count), labels


def causes(health: Health | None) -> tuple[str, ...]:
    """What makes a vantage ill, in a few fixed words."""
    complaints = health.complaints if health is not None else ()
    return tuple(sorted(one.sign.value for one in complaints if one.ill))

"""The page about reasons and the words of alerts, made from what the product says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from probe.model.failure import OURS, Phase, Reason
from probe.model.reasons import Explanation, error_in_browser, explanations, phase_texts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reasons.md"
TEMPLATE = ROOT / "deploy/alertmanager/templates/reasons.tmpl"

_HEAD = """\
# Reasons

Every failure has a phase and a reason. Both are labels of metrics and fields of the log. This page
says what each reason means. It is made from `probe/model/reasons.toml`: change the text there and
run `python -m tests.regenerate`.

In the commands, `NAME` is the domain, `EDGE` one of its addresses, `PORT` that address's port,
`URL` the call's and `SERVER` a DNS server. The status page shows a command with all of them filled
in. What curl prints differs a little between versions.
"""

_OURS = """\
## The agent's own

These make a result inconclusive: nothing was learnt, and no target is blamed. They raise
[ProbeInconclusive](runbooks/ProbeInconclusive.md), [ProbeVantageIll](runbooks/ProbeVantageIll.md)
or [ProbeDefect](runbooks/ProbeDefect.md).
"""


_TEMPLATE = """\
{{/* The titles of reasons. Made from probe/model/reasons.toml: change them there. */}}
{{ define "probe.reason" -}}
"""


def alert_template() -> str:
    """The titles for Alertmanager, as one template that chooses by name."""
    lines = [
        f'if eq . "{reason}" }}}}{explanations()[reason].title}\n' for reason in sorted(Reason)
    ]
    return _TEMPLATE + "{{ " + "{{- else ".join(lines) + "{{- else }}{{ . }}{{ end -}}\n{{ end }}\n"


def page() -> str:
    """The whole page in Markdown."""
    return "\n".join((_HEAD, *_index(), *_sections(), _OURS, *_own()))


def _index() -> Iterator[str]:
    yield "| reason | what happened |"
    yield "|---|---|"
    for reason in sorted(Reason):
        yield f"| [`{reason}`](#{reason}) | {explanations()[reason].title} |"
    yield ""


def _sections() -> Iterator[str]:
    for phase, text in phase_texts().items():
        yield f"## {text.title}: phase `{phase}`\n\n{text.about}\n"
        others = []
        for reason, explanation in explanations().items():
            if reason in OURS:
                continue
            if explanation.phases[0] is phase:
                yield _entry(reason, explanation)
            elif phase in explanation.phases:
                others.append(f"[`{reason}`](#{reason})")
        if others:
            yield f"Seen in this phase as well: {', '.join(others)}.\n"


def _own() -> Iterator[str]:
    for reason, explanation in explanations().items():
        if reason in OURS:
            yield _entry(reason, explanation)


def _entry(reason: Reason, explanation: Explanation) -> str:
    causes = "\n".join(f"- {cause}" for cause in explanation.causes)
    check = explanation.check or phase_texts()[explanation.phases[0]].check
    shown = "".join(f"{line}\n\n" for line in _shown(reason, explanation))
    return (
        f"### `{reason}`\n\n**{explanation.title}.** {explanation.explanation}\n\n"
        f"Usual causes:\n\n{causes}\n\n{shown}Check by hand:\n\n```sh\n{check}\n```\n"
    )


def _shown(reason: Reason, explanation: Explanation) -> Iterator[str]:
    errors: dict[str, list[Phase]] = {}
    if reason not in OURS:
        for phase in explanation.phases:
            if error := error_in_browser(phase, reason):
                errors.setdefault(error, []).append(phase)
    if errors:
        several = len(errors) > 1
        named = [
            f"`{error}`" + (f" ({', '.join(phases)})" if several else "")
            for error, phases in errors.items()
        ]
        yield f"A browser shows {', '.join(named)}."
    if explanation.curl:
        yield f"curl shows `{explanation.curl}`."

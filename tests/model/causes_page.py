"""The words of alerts about causes, made from what the product says of them."""

from __future__ import annotations

from pathlib import Path

from probe.model.cause import Cause, meaning
from probe.model.flow_cause import FlowCause, flow_meaning

TEMPLATE = Path(__file__).parents[2] / "deploy/alertmanager/templates/causes.tmpl"

_HEAD = """\
{{/* What causes mean. Made from probe/model/cause.py and flow_cause.py: change them there. */}}
{{ define "probe.cause" -}}
"""


def alert_template() -> str:
    """Write the meanings for Alertmanager, as one template that chooses by name."""
    found: dict[str, str] = {
        cause: meaning(cause) for cause in sorted(Cause) if cause is not Cause.UNDETERMINED
    }
    flows = [cause for cause in sorted(FlowCause) if cause is not FlowCause.UNDETERMINED]
    found |= {cause: flow_meaning(cause) for cause in flows}
    lines = [f'if eq . "{cause}" }}}}{said}\n' for cause, said in found.items()]
    return _HEAD + "{{ " + "{{- else ".join(lines) + "{{- else }}{{ . }}{{ end -}}\n{{ end }}\n"

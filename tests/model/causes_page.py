"""The words of alerts about causes, made from what the product says of them."""

from __future__ import annotations

from pathlib import Path

from probe.model.cause import Cause, meaning

TEMPLATE = Path(__file__).parents[2] / "deploy/alertmanager/templates/causes.tmpl"

_HEAD = """\
{{/* What causes mean. Made from probe/model/cause.py: change them there. */}}
{{ define "probe.cause" -}}
"""


def alert_template() -> str:
    """Write the meanings for Alertmanager, as one template that chooses by name."""
    found = [cause for cause in sorted(Cause) if cause is not Cause.UNDETERMINED]
    lines = [f'if eq . "{cause}" }}}}{meaning(cause)}\n' for cause in found]
    return _HEAD + "{{ " + "{{- else ".join(lines) + "{{- else }}{{ . }}{{ end -}}\n{{ end }}\n"

"""Reads a configuration in a process of its own.

For two reasons. The configuration model and the YAML parser cost about 10 MiB that the agent
would carry for ever for a moment's work. And parsing is Python code: in a thread of the agent
it would hold the interpreter's lock and make probes late at every reload.

The child answers with a pickle of the `Spec`, or of the problems. It is our own program and reads
what our own user wrote, so its answer is trusted.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

from probe.documents.problem import DocumentError
from probe.model.spec import REGION_VARIABLE, Spec
from probe.net.apart import ask_once, once

_MODULE = "probe.config.loading"
_PATIENCE = 60.0
"""Seconds. The largest configuration that is accepted takes a few."""


def load_apart(path: Path, *, region: str | None = None, environ: Mapping[str, str]) -> Spec:
    """Do as `reload_apart` where no event loop runs yet. Blocks."""
    return _spec(ask_once(_MODULE, _question(path, region, environ), _PATIENCE))


async def reload_apart(
    path: Path, *, region: str | None = None, environ: Mapping[str, str]
) -> Spec:
    """`loading.load`, in a process of its own; cancelled, it ends at once with its child.

    Raises:
        DocumentError: with every problem.
        Unanswered: the child was killed, or has a defect of ours.
    """
    return _spec(await once(_MODULE, _question(path, region, environ), _PATIENCE))


def _question(path: Path, region: str | None, environ: Mapping[str, str]) -> bytes:
    """The child is told no other variable of the environment, which may be secret."""
    return json.dumps([str(path), region, environ.get(REGION_VARIABLE, "")]).encode()


def _spec(data: bytes) -> Spec:
    answer = pickle.loads(data)  # noqa: S301 - our own child wrote it
    if isinstance(answer, Spec):
        return answer
    raise DocumentError(*answer)

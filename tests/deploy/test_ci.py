"""The gate of a migration as jobs of two CI services: what they call is what the program takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.docs.test_commands import commands, ours, parse
from tests.support.programs import ROOT

FILES = sorted((ROOT / "deploy" / "ci").glob("*.yml"))


def scripts(value: Any) -> Iterator[str]:
    """What a job gives to the shell, in turn."""
    match value:
        case {"run": str() as script}:
            yield script
        case {"script": [*lines]}:
            yield from map(str, lines)
        case dict():
            for held in value.values():
                yield from scripts(held)
        case list():
            for held in value:
                yield from scripts(held)
        case _:
            pass


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_validates_and_gates_with_options_that_exist(path: Any) -> None:
    text = "\n".join(scripts(yaml.safe_load(path.read_text(encoding="utf-8"))))
    called = [found for words in commands(text) if (found := ours(words))]
    for arguments in called:
        parse(arguments)
    assert [arguments[0] for arguments in called] == ["validate", "check"]
    assert {"--provider", "--targets", "--expect-not-before", "--wait"} <= set(called[1])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_person_types_reaches_the_shell_as_a_variable(path: Any) -> None:
    """Pasted into a script, an input of a workflow could be a command."""
    text = "\n".join(scripts(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert "${{" not in text
    assert '"$BATCH"' in text


def test_both_services_have_one() -> None:
    assert [path.stem for path in FILES] == ["github-actions", "gitlab-ci"]

"""The process that fuzzes one target: ``python -m tests.fuzz.child TARGET [libFuzzer option]…``.

Only the product is instrumented, so that the start stays quick and coverage means ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

NAMES = ("dns", "chains", "crl", "http", "lists", "config", "web")


def main(name: str, *options: str) -> None:
    """Fuzz until an option of libFuzzer ends it, or something is found."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["probe"]):
        target = import_module(f"tests.fuzz.{name}").TARGET

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        changed: Callable[[bytes, int], bytes] = atheris.Mutate
        return bytes(target.mutate(data, most, seed, changed)[:most])

    named = {"custom_mutator": mutate} if target.mutate is not None else {}
    atheris.Setup([sys.argv[0], *options], target.run, **named)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The product gets no larger, and no name of a class means two things."""

from __future__ import annotations

import ast

from tests import bars
from tests.support.programs import ROOT


def test_no_class_and_no_type_has_the_name_of_another() -> None:
    doubled = bars.doubled()
    new = {name: places for name, places in doubled.items() if name not in bars.DOUBLE}
    assert not new, "choose another name, or import the one that is there"
    assert doubled.keys() == bars.DOUBLE, "strike what is single by now from tests/bars.py"


def test_the_product_is_no_larger_than_it_was() -> None:
    assert bars.lines() <= bars.MOST_LINES
    assert len(bars.modules()) <= bars.MOST_FILES


def test_names_of_types_are_found() -> None:
    text = "class Ace: ...\nclass _Bit: ...\nCat = int | str\nDog: type = int\nLIMIT = 1\nlog = 2\n"
    assert list(bars.types(ast.parse(text))) == ["Ace", "Cat", "Dog"]


def test_private_parts_of_libraries_are_used_in_one_module() -> None:
    """Attributes are ruff's to find (SLF001), imports are found here."""
    private = {
        str(path)
        for path in bars.modules()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        for name in imported(node)
        if not name.startswith(("probe.", "_typeshed."))
        if any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    }
    assert private == {"probe/connection/openssl.py"}


def imported(node: ast.AST) -> list[str]:
    match node:
        case ast.ImportFrom(module=module, names=names):
            return [f"{module}.{one.name}" for one in names]
        case ast.Import(names=names):
            return [one.name for one in names]
        case _:
            return []

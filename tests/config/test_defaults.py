"""Defaults stand once, in the model; shapes take them from there, and names agree."""

import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import pytest

from probe.config import shape as shapes
from probe.config.resolve.file import ConfigFile
from probe.config.schema import schema_text
from probe.config.shape.base import Shape
from probe.config.shape.checks import TlsCheckShape
from probe.config.shape.file import RegionShape, ShareShape
from probe.config.shape.tls import ProfileShape
from probe.documents.nodes import MappingNode, Position
from probe.model.spec import Share
from probe.model.tls import ClientProfile

SOURCES = sorted(Path(shapes.__file__).parent.glob("*.py"))


def subclasses(shape: type[Shape]) -> list[type[Shape]]:
    return [one for below in shape.__subclasses__() for one in (below, *subclasses(below))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_description_repeats_a_default(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    texts = re.findall(r'description=((?:\s*f?"[^"]*")+)', source)
    written = [re.sub(r'"\s*f?"', "", text) for text in texts]
    literal = re.compile(
        r"\((?:[\d.:\[\], a-z]*\d[\w\[\], ]*|true|false|mozilla|all|\[default\])\)"
    )
    allowed = {"(200)", "(2xx)", "(seconds since 1970)"}
    found = [m.group() for text in written for m in literal.finditer(text)]
    assert set(found) <= allowed


def test_a_default_of_a_shape_is_the_model_s() -> None:
    """Where a shape holds a default of its own beside its spec, both are one value."""
    compared = 0
    for shape in subclasses(Shape):
        if not is_dataclass(shape.spec):
            continue
        for field in fields(shape.spec):
            own = shape.named_fields().get(field.name)
            if own is None or own.is_required() or own.default_factory is not None:
                continue
            if own.default in (None, [], {}):
                continue
            if field.default is not MISSING:
                assert own.default == field.default, (shape, field.name)
                compared += 1
    assert compared


def test_every_default_that_a_description_shows_is_there() -> None:
    text = schema_text()
    assert "{default}" not in text
    assert "(30s)" in text


def test_a_spec_is_built_from_the_names_that_it_shares_with_its_shape() -> None:
    file = ConfigFile("f")
    shape = ShareShape(peers="peers.example", replicas=3)
    assert file.built(Share, shape) == Share("peers.example", 3)
    assert file.built(Share, shape, replicas=5) == Share("peers.example", 5)
    assert file.built(ClientProfile, None) == ClientProfile()
    assert file.built(ClientProfile, ProfileShape(alpn=[]), name="a").alpn == ()


def test_a_section_inside_must_be_resolved_by_its_own_function() -> None:
    profile = {"certificate": "file:a", "key": "file:b"}
    shape = ProfileShape.model_validate({"client_certificate": profile})
    with pytest.raises(TypeError, match="ClientCertificateShape"):
        ConfigFile("f").built(ClientProfile, shape, name="a")


def test_positions_are_asked_for_keys_that_exist() -> None:
    shape = RegionShape(name="a")
    shape.placed(MappingNode(Position(1, 1)))
    assert shape.at("name") is shape.node
    assert shape.key_position("from") == Position(1, 1)
    with pytest.raises(KeyError, match="RegionShape has no key sources"):
        shape.at("sources")
    assert set(TlsCheckShape.named_fields()) > {"interval"}

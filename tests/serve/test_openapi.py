"""The OpenAPI document says what ``/api/v1/`` answers: real answers are held to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import (  # type: ignore[import-untyped]  # its stubs are no dependency of ours
    Draft202012Validator,
    ValidationError,
)

from probe.serve import Store, application
from probe.serve.http import web
from probe.serve.page.region_report import region_report
from probe.serve.page.regions_view import HeardAgent
from tests.serve import openapi

from .test_serving import ask, serving, serving_router
from .world import START, filled

DOCUMENT: dict[str, Any] = json.loads(openapi.PLACE.read_text())
ANSWERS: dict[str, Callable[[], Store]] = {
    "nothing yet": lambda: Store("sa-east", started_at=0.0),
    "both incidents": filled,
    "healthy": lambda: filled(broken_targets=0, broken_edges=0, cli_broken=False),
}


def _closed(schema: Any) -> Any:
    """The same schema, with every field that it does not name refused."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return closed | ({"additionalProperties": False} if "required" in schema else {})


def _validator(path: str) -> Any:
    """Of the good answer of a path."""
    operation = DOCUMENT["paths"][path]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return Draft202012Validator(_closed({**schema, "components": DOCUMENT["components"]}))


@pytest.mark.parametrize("name", ANSWERS)
async def test_answers_are_as_the_document_says(name: str) -> None:
    async with serving(ANSWERS[name]()) as address:
        head, body = await ask(address, "/api/v1/status?edges=3")
    assert head.startswith("HTTP/1.1 200 ")
    assert "content-type: application/json" in head.lower()
    answer = json.loads(body)
    _validator("/api/v1/status").validate(answer)
    if name == "both incidents":
        assert answer["problems"]
        assert answer["problems"][0]["causes"]
        assert answer["flow_problems"]
        assert answer["edges"]
        assert answer["edges_next"]
        assert answer["changes"]
        assert answer["sources"]


async def test_regions_are_as_the_document_says() -> None:
    report = region_report(filled(), START, "b")
    heard = HeardAgent("https://eu.example", replace(report, region="eu-west"), "eu-west", START)

    async def peers() -> tuple[HeardAgent, ...]:
        return heard, HeardAgent("https://ap.example", silent_since=START, problem="no answer")

    app = application(filled(), peers=peers, wall=lambda: START)
    async with serving_router(app) as address:
        for path in ("/api/v1/region", "/api/v1/regions"):
            answer = json.loads((await ask(address, path))[1])
            _validator(path).validate(answer)
            assert answer["problems"]
            del answer["problems"]
            with pytest.raises(ValidationError):
                _validator(path).validate(answer)


async def test_the_list_of_targets_is_as_the_document_says() -> None:
    path = "/api/v1/targets"
    known = {one["name"]: one["schema"] for one in DOCUMENT["paths"][path]["get"]["parameters"]}
    async with serving(filled()) as address:
        answer = json.loads((await ask(address, f"{path}?limit=3&state=failing"))[1])
        _validator(path).validate(answer)
        assert len(answer["targets"]) == 3
        most = known["limit"]["maximum"]
        assert (await ask(address, f"{path}?limit={most + 1}"))[0].startswith("HTTP/1.1 400 ")
        for state in known["state"]["enum"]:
            head, _ = await ask(address, f"{path}?state={state}")
            assert head.startswith("HTTP/1.1 200 ")
    answer["targets"][0]["state"] = "green"
    with pytest.raises(ValidationError):
        _validator(path).validate(answer)


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (("region",), 7),
        (("level",), "green"),
        (("standing", "edges", "passing"), "many"),
        (("problems", 0, "causes", 0, "experiments", 0, "seen"), "perhaps"),
        (("edges_next",), 1),
    ],
)
async def test_a_wrong_answer_is_refused(where: tuple[str | int, ...], wrong: object) -> None:
    async with serving(filled()) as address:
        answer: Any = json.loads((await ask(address, "/api/v1/status?edges=3"))[1])
    inside = answer
    for step in where[:-1]:
        inside = inside[step]
    assert inside[where[-1]] != wrong
    inside[where[-1]] = wrong
    with pytest.raises(ValidationError):
        _validator("/api/v1/status").validate(answer)
    inside.pop(where[-1])
    with pytest.raises(ValidationError):
        _validator("/api/v1/status").validate(answer)


def test_every_path_of_the_api_is_described() -> None:
    routes = set(re.findall(r'"(/api/v1/[^"]+)"', Path(web.__file__).read_text()))
    assert routes == set(DOCUMENT["paths"])


async def test_the_agent_serves_its_own_description() -> None:
    async with serving(filled(targets=1)) as address:
        head, body = await ask(address, "/api/v1/openapi.json")
        assert head.startswith("HTTP/1.1 200 ")
        assert "content-type: application/json" in head.lower()
        assert json.loads(body) == DOCUMENT
        assert (await ask(address, "/static/openapi.json"))[0].startswith("HTTP/1.1 404 ")


async def test_parameters_are_bounded_as_described() -> None:
    described = {one["name"]: one["schema"] for one in _operation()["parameters"]}
    most = described["edges"]["maximum"]
    async with serving(filled(targets=1)) as address:
        longer = f"{'0' * 9}{most + 1}", "9" * 5000
        for asked, status in ((most, 200), (most + 1, 400), *((one, 400) for one in longer)):
            head, _ = await ask(address, f"/api/v1/status?edges={asked}")
            assert head.startswith(f"HTTP/1.1 {status} ")
            assert str(status) in _operation()["responses"]


def _operation() -> dict[str, Any]:
    operation: dict[str, Any] = DOCUMENT["paths"]["/api/v1/status"]["get"]
    return operation


def test_references_lead_somewhere_and_schemas_are_valid() -> None:
    text = json.dumps(DOCUMENT)
    for name in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text):
        assert name in DOCUMENT["components"]["schemas"]
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
        assert schema["description"]
    operations = [one["get"]["operationId"] for one in DOCUMENT["paths"].values()]
    assert len(set(operations)) == len(operations)

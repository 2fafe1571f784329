"""Reads a store as a scraper does."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from probe.serve import Store
from probe.serve.http.metrics import blocks
from probe.serve.series.family import Format


def exposed(store: Store, form: Format = Format.TEXT) -> str:
    return b"".join(blocks(store, form)).decode()


def everything(store: Store) -> list[Sample]:
    """Every sample."""
    families = text_string_to_metric_families(exposed(store))
    return [sample for family in families for sample in family.samples]


def series(store: Store, name: str, **labels: str) -> list[Sample]:
    """Every sample of that name whose labels hold these values."""
    return [
        sample
        for sample in everything(store)
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def value(store: Store, name: str, **labels: str) -> float | None:
    """The value of the one series that matches; None when there is none."""
    found = series(store, name, **labels)
    assert len(found) <= 1, f"{len(found)} series of {name} match {labels}"
    return float(found[0].value) if found else None

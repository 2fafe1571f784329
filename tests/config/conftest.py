"""A folder with a configuration in it, and what loading it says."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from probe.config.loading import load, validate
from probe.documents.problem import DocumentError
from probe.model.spec import Spec

Loader = Callable[..., Spec]
Problems = Callable[..., list[str]]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Load a text as ``probe.yaml`` of the current folder, with other files beside it."""
    monkeypatch.chdir(tmp_path)

    def loader(
        text: str | bytes,
        files: Mapping[str, str | bytes] | None = None,
        *,
        region: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Spec:
        (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
        for name, content in {**(files or {}), "probe.yaml": text}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if region is None:  # strictly, so that what is wrong in other files is a problem too
            return validate(Path("probe.yaml"), environ=environ or {})[0]
        return load(Path("probe.yaml"), region=region, environ=environ or {})

    return loader


@pytest.fixture
def problems(loaded: Loader) -> Problems:
    """The problems of such a file as strings; none when it is good."""

    def problems_of(text: str | bytes, files: Mapping[str, str | bytes] | None = None) -> list[str]:
        try:
            loaded(text, files)
        except DocumentError as error:
            return [str(problem) for problem in error.problems]
        return []

    return problems_of

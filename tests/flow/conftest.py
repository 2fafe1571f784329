"""A CA, secrets, and a prober, for every test of the flow prober."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.model.flow import ApiCheck, Persona
from probe.model.result import FlowResult
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.target import FlowKey, Resolution, Target
from probe.model.tls import Trust
from probe.probers.flow import FlowProber
from tests.support.http_server import Ca

Resolve = Callable[[str, int], Awaitable[Resolution]]


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    return Ca(tmp_path_factory.mktemp("ca"))


class Bench:
    """A prober with secrets and a wall clock that a test may turn."""

    def __init__(self, ca: Ca, state_dir: Path | None = None) -> None:
        self.secrets: dict[str, str] = {}
        self.offset = 0.0
        self.trust = Trust("file", str(ca.roots))
        self.prober = FlowProber(
            TlsContexts(self.read), Judge(), self.read, self.wall, state_dir=state_dir
        )

    def read(self, ref: SecretRef) -> Secret:
        if ref.name not in self.secrets:
            raise SecretError(f"{ref} is missing")
        return Secret(self.secrets[ref.name])

    def wall(self) -> float:
        return time.time() + self.offset

    def secret(self, name: str, value: str) -> SecretRef:
        self.secrets[name] = value
        return SecretRef("env", name)

    async def run(
        self,
        check: ApiCheck,
        resolve: Resolve,
        *,
        persona: Persona | None = None,
        target: Target | None = None,
        provider: str = "live",
    ) -> FlowResult:
        target = target or Target(check.name)
        check = replace(check, trust=self.trust)
        key = FlowKey(check.name, target.name, provider, persona.name if persona else "")
        return await self.prober.run(key, check, target, persona, resolve=resolve)


@pytest.fixture
def bench(ca: Ca, tmp_path: Path) -> Bench:
    return Bench(ca, tmp_path / "state")

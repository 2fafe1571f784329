"""What every test of the TLS prober needs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trio

from probe.connection import failures
from probe.connection.contexts import TlsContexts
from probe.connection.failures import AttemptFailed
from probe.connection.tcp import connect
from probe.connection.timeline import Timeline
from probe.connection.tls import TlsStream, handshake, sni
from probe.lab.ca import Pki
from probe.model.failure import Failure
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.target import Edge
from probe.model.tls import NO_STAPLE, ClientProfile
from tests.support.ports import HERE

NAME = "www.example"


def no_secrets(ref: SecretRef) -> Secret:
    raise SecretError(f"{ref} is missing")


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki(datetime.now(UTC))


@pytest.fixture(scope="session")
def contexts() -> TlsContexts:
    return TlsContexts(no_secrets)


class Client:
    """Connects and shakes hands as the prober does."""

    def __init__(self, contexts: TlsContexts) -> None:
        self._contexts = contexts

    async def stream(
        self,
        edge: Edge,
        *,
        profile: ClientProfile = ClientProfile(),  # noqa: B008 - immutable
        name: str = NAME,
        timeout: float = 5.0,
    ) -> TlsStream:
        wire = None
        with trio.move_on_after(timeout):
            wire = await connect(edge, Timeline(trio.current_time()), HERE)
            try:
                context = self._contexts.get(profile)
                staple = profile.kind not in NO_STAPLE
                return await handshake(wire, context, server_name=sni(name), staple=staple)
            except BaseException:
                wire.close()
                raise
        assert wire is not None, "not even connected in time"
        raise AttemptFailed(failures.timed_out(wire.timeline, trio.current_time()))

    async def failure(
        self,
        edge: Edge,
        *,
        profile: ClientProfile = ClientProfile(),  # noqa: B008 - immutable
        timeout: float = 5.0,
    ) -> Failure:
        with pytest.raises(AttemptFailed) as caught:
            await self.stream(edge, profile=profile, timeout=timeout)
        return caught.value.failure


@pytest.fixture
def client(contexts: TlsContexts) -> Client:
    return Client(contexts)

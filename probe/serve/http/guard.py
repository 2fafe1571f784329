"""Who may ask the port: TLS, client certificates, logins and rate, by the web configuration file.

The toolkit reads its file at each request. Here it is looked at every ``LOOK`` seconds, in a
thread, with the certificates that it names; what changed holds from then on for new connections
and requests. A file that cannot be used changes nothing, and is logged and counted.

Health answers without a login and without a client certificate: a kubelet has neither, and
"ok" is all that it says.
"""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import bcrypt
import trio

from probe.documents.files import stamp
from probe.documents.problem import DocumentError
from probe.serve.http.crowds import network
from probe.serve.http.message import Refused, WebRequest
from probe.serve.http.tls import PortStream, PortTls, Turns
from probe.serve.http.web_config import WebConfig, read_web_config
from probe.serve.memory.agent import AgentFacts
from probe.serve.series import families
from probe.serve.series.family import Sample

LOOK = 2.0
"""Seconds between looks at the files."""

SLOWED = 1.0
"""Seconds after which a login that failed is answered, however soon that was known."""

WAITING = 4
"""Logins of one client and user that wait to be checked; the next ones are refused unchecked."""

_KEPT = 256
_HEALTH = frozenset({"/healthz", "/readyz"})
_log = logging.getLogger("probe.serve")


class Logins:
    """Checks Basic logins (RFC 7617) against bcrypt hashes.

    A password that was right is known by a MAC with a key of this process, so that a scrape costs
    no bcrypt. What is not known is checked in a thread, two at once, and one at a time for each
    client and user: whoever guesses waits for his own guesses only.

    Args:
        failed: told of each login that failed.
    """

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._threads = trio.CapacityLimiter(2)
        self._queues: dict[tuple[str, str], trio.Lock] = {}

    async def check(self, header: str, users: dict[str, bytes], client: str) -> None:
        """Let a login in. Raises Refused.

        Args:
            header: the request's Authorization.
            users: hashes by name.
            client: address that it comes from.
        """
        if not header:
            raise _unauthorized()
        name, password = _credentials(header)
        stored = users.get(name)
        known = self._mac(name, stored or b"", password)
        if known in self._good:
            self._good.move_to_end(known)
            return
        who = (network(client), name if stored is not None else "")
        queue = self._queues.setdefault(who, trio.Lock())
        if queue.statistics().tasks_waiting >= WAITING:
            self._failed()
            raise Refused(429, "too many logins failed; wait", {"Retry-After": "5"})
        try:
            async with queue:
                await self._compare(stored, users, password)
        finally:
            if not queue.locked():
                self._queues.pop(who, None)
        self._good[known] = None
        if len(self._good) > _KEPT:
            self._good.popitem(last=False)

    async def _compare(
        self, stored: bytes | None, users: dict[str, bytes], password: bytes
    ) -> None:
        began = trio.current_time()
        against = stored if stored is not None else _nobody(users)
        matches = await trio.to_thread.run_sync(
            _matches, password, against, limiter=self._threads, abandon_on_cancel=True
        )
        if matches and stored is not None:
            return
        self._failed()
        await trio.sleep_until(began + SLOWED)
        raise _unauthorized()

    def _mac(self, name: str, stored: bytes, password: bytes) -> bytes:
        parts = (name.encode(), stored, password)
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, framed, "sha256")


def _unauthorized() -> Refused:
    return Refused(401, headers={"WWW-Authenticate": 'Basic realm="probe", charset="UTF-8"'})


def _credentials(header: str) -> tuple[str, bytes]:
    """Name and password of a header; an odd one is nobody's."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
        name, colon, password = decoded.partition(b":")
        if scheme.lower() == "basic" and colon:
            return name.decode(), password
    except ValueError:
        pass
    raise _unauthorized()


def _nobody(users: dict[str, bytes]) -> bytes:
    """A hash that no password has, at the cost of the dearest one: unknown names take as long."""
    cost = max(int(one.split(b"$")[2]) for one in users.values())
    return bcrypt.gensalt(cost) + b"." * 31


def _matches(password: bytes, stored: bytes) -> bool:
    try:
        # Only the first 72 bytes count in bcrypt; the library refuses more, htpasswd cuts them off.
        return bcrypt.checkpw(password[:72], stored)
    except ValueError:
        return False


class Rate:
    """A token bucket: so many requests at once, and one more each interval."""

    def __init__(self, interval: float, burst: int) -> None:
        self._interval, self._burst = interval, burst
        self._tokens, self._at = float(burst), trio.current_time()

    def take(self) -> bool:
        """Whether a request may come now."""
        if not self._interval:
            return True
        now = trio.current_time()
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._interval)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Guard:
    """Guards the port by a web configuration file, and follows its changes.

    Args:
        path: of the file.
        facts: told what is counted.
    """

    def __init__(self, path: Path, facts: AgentFacts) -> None:
        self._path = path
        self._facts = facts
        self._config = WebConfig()
        self._rate = Rate(0, 0)
        self._handshakes = Turns()
        self._problem = ""
        self._logins = Logins(lambda: facts.count(families.AGENT_WEB_LOGINS_FAILED))
        facts.count(families.AGENT_WEB_LOGINS_FAILED, 0)
        facts.count(families.AGENT_WEB_CONFIG_FAILURES, 0)
        facts.readings += (self._reading,)

    @property
    def tls(self) -> PortTls | None:
        """How new connections speak TLS; None when they do not."""
        return self._config.tls

    @property
    def headers(self) -> dict[str, str]:
        """Headers that the file adds to every answer."""
        return dict(self._config.headers)

    async def start(self) -> None:
        """Read the file for the first time. Raises DocumentError."""
        self._use(await trio.to_thread.run_sync(read_web_config, self._path))

    async def follow(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Read the files again when one of them changes, until cancelled."""
        task_status.started()
        tries = 0
        while True:
            await trio.sleep(LOOK)
            changed = bool(tries) or await trio.to_thread.run_sync(self._changed)
            problem = await self._read_again() if changed else ""
            # Certificate and key are rarely written in one moment: the first failure is not said.
            tries = tries + 1 if problem else 0
            if tries > 1 and problem != self._problem:
                self._problem = problem
                self._facts.count(families.AGENT_WEB_CONFIG_FAILURES)
                _log.error("web configuration refused: %s; the one before stays in use", problem)

    async def _read_again(self) -> str:
        """Read the files; what is wrong with them, if anything is."""
        try:
            config = await trio.to_thread.run_sync(read_web_config, self._path)
        except DocumentError as error:
            return str(error.problems[0])
        self._use(config)
        _log.info("web configuration read again")
        return ""

    def _use(self, config: WebConfig) -> None:
        if (config.interval, config.burst) != (self._config.interval, self._config.burst):
            self._rate = Rate(config.interval, config.burst)
        self._config, self._problem = config, ""

    def _changed(self) -> bool:
        return any(stamp(path) != before for path, before in self._config.stamps.items())

    def _reading(self) -> list[Sample]:
        return [(families.AGENT_WEB_CONFIG_LAST_RELOAD_SUCCESS, float(not self._problem), ())]

    # ------------------------------------------------------------ what the server asks

    async def secured(
        self, stream: trio.SocketStream, client: str, moved: Callable[[], None]
    ) -> trio.SocketStream | PortStream:
        """The stream to speak HTTP over. Raises Refused, or what streams raise.

        Args:
            stream: to a client.
            client: address that it comes from.
            moved: called when a step of the handshake is done.
        """
        tls = self._config.tls
        if tls is None:
            return stream
        secured = PortStream(stream, tls)
        await secured.handshake(self._handshakes, network(client), moved)
        return secured

    async def admit(
        self, request: WebRequest, stream: trio.SocketStream | PortStream, client: str
    ) -> None:
        """Let a request in. Raises Refused."""
        if request.path.rstrip("/") in _HEALTH:
            return
        if not self._rate.take():
            raise Refused(429, "too many requests (rate_limit of the web configuration)")
        config = self._config
        if config.tls is not None and config.tls.required:
            names = stream.names if isinstance(stream, PortStream) else None
            if names is None:
                raise Refused(403, "a client certificate is required")
            if config.tls.names and not config.tls.names & names:
                raise Refused(403, "no name of the client certificate is allowed here")
        if config.users:
            header = request.headers.get("authorization", "")
            await self._logins.check(header, dict(config.users), client)

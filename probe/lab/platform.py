"""A developer platform as the CLI sees it: a login, an authorization layer, backends behind it.

Layers in the order a request passes them: ``edge`` (every host), ``router``, then ``control``;
or ``token``, ``authorization`` and ``backend``. The login host has ``login`` and ``validate``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from probe.lab.gate import Gate
from probe.lab.http import Exchange, Request, Response, json_response, platform_error
from probe.lab.tokens import Mint

TOKEN_LIFE = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Hosts:
    """Names of the platform's hosts.

    Attributes:
        login: of one account; ``{account}.commercestable.example``.
        auth: OAuth 2 and the other ways to authenticate.
    """

    account: str = "teststore"
    platform: str = "platform.io.example"
    infra: str = "infra.io.example"
    app: str = "app.io.example"
    control: str = "master--control.my.example"
    login: str = "teststore.commercestable.example"
    auth: str = "auth.example"

    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (self.platform, self.infra, self.app, self.control, self.login, self.auth)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who may log in.

    Attributes:
        role: ``external`` and ``internal`` developers may read everything, ``narrow`` nothing.
    """

    appkey: str
    apptoken: str
    role: str


IDENTITIES: Mapping[str, Identity] = MappingProxyType(
    {
        one.appkey: one
        for one in (
            Identity("lab-appkey-external", "lab-apptoken-external-5d1c", "external"),
            Identity("lab-appkey-internal", "lab-apptoken-internal-77ab", "internal"),
            Identity("lab-appkey-narrow", "lab-apptoken-narrow-90fe", "narrow"),
        )
    }
)
ROLES_ALLOWED = frozenset({"external", "internal", "anyone"})


@dataclass(frozen=True, slots=True)
class Platform:
    """The hosts of the platform.

    Attributes:
        now: wall time in seconds.
    """

    hosts: Hosts
    gate: Gate
    mint: Mint
    now: Callable[[], float]

    async def respond(self, exchange: Exchange) -> Response:
        """Answer one request; faults on the way are raised as ``gate.Stopped``."""
        host = exchange.request.host
        if host == self.hosts.login:
            return await self._login_host(exchange)
        await self.gate.enter("router", exchange)
        if host == self.hosts.control:
            return await self._control(exchange)
        return await self._authorized(exchange)

    # ------------------------------------------------------------ login and control

    async def _login_host(self, exchange: Exchange) -> Response:
        request = exchange.request
        match request.method, request.path:
            case "POST", "/api/vtexid/apptoken/login":
                await self.gate.enter("login", exchange)
                return self._log_in(request)
            case "POST", "/api/vtexid/credential/validate":
                await self.gate.enter("validate", exchange)
                document = request.json()
                token = document.get("token") if isinstance(document, dict) else None
                good = isinstance(token, str) and self.mint.read(token, self.now()) is not None
                return json_response({"authStatus": "Success" if good else "InvalidToken"})
            case _:
                return platform_error(exchange, 404, "not_found", "no such call")

    def _log_in(self, request: Request) -> Response:
        document = request.json()
        shown = document if isinstance(document, dict) else {}
        identity = IDENTITIES.get(str(shown.get("appkey")))
        if identity is None or shown.get("apptoken") != identity.apptoken:
            return json_response({"authStatus": "WrongCredentials"}, 401)
        now = self.now()
        token = self.mint.issue(identity.appkey, identity.role, now, TOKEN_LIFE)
        expires = int(now + TOKEN_LIFE)
        return json_response({"authStatus": "Success", "token": token, "expires": expires})

    async def _control(self, exchange: Exchange) -> Response:
        await self.gate.enter("control", exchange)
        if exchange.request.path != "/_v/public/toolbelt/global-config":
            return platform_error(exchange, 404, "route_map_error", "no such route")
        config = {"minToolbeltVersion": "3.0.0"}
        return json_response({"config": config, "messages": [], "featureFlags": {}})

    # ------------------------------------------------------------ behind the authorization

    async def _authorized(self, exchange: Exchange) -> Response:
        denied = await self._check_token(exchange)
        if denied is not None:
            return denied
        await self.gate.enter("authorization", exchange)
        if exchange.role not in ROLES_ALLOWED:
            what = f"Role user:{exchange.role} cannot perform action GET on resource vrn:apps:all"
            return platform_error(exchange, 403, "forbidden", what)
        await self.gate.enter("backend", exchange)
        document = self._document(exchange.request)
        if document is None:
            return platform_error(exchange, 404, "resource_not_found", "no such resource")
        backend = exchange.request.host.partition(".")[0]
        return json_response(document).plus(
            ("x-vtex-backend-status-code", "200"), ("x-vtex-janus-router-backend-app", backend)
        )

    async def _check_token(self, exchange: Exchange) -> Response | None:
        await self.gate.enter("token", exchange)
        if exchange.role:
            return None  # a fault has let it in
        scheme, _, token = exchange.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token:
            return platform_error(exchange, 401, "unauthorized", "no credentials were sent")
        claims = self.mint.read(token.strip(), self.now())
        if claims is None:
            return platform_error(exchange, 401, "invalid_token", "the token is not valid")
        exchange.role = claims.role
        return None

    def _document(self, request: Request) -> object | None:
        """What the backend of the host has at a path; None for nothing."""
        hosts, account = self.hosts, self.hosts.account
        match request.host, request.path.strip("/").split("/"):
            case hosts.platform, [name] if name == account:
                return [_workspace("master", 100), _workspace("test", 0)]
            case hosts.platform, [name, workspace] if name == account:
                return _workspace(workspace, 100)
            case hosts.infra, ["apps", "v0", name, workspace, "apps"] if name == account:
                return {"data": [_app(account, "store-theme", workspace)]}
            case hosts.infra, ["apps", "v0", name, _, "edition"] if name == account:
                return {"title": "edition-store", "version": "5.0.0", "id": "edition-store@5.x"}
            case hosts.app, ["vtex.builder-hub", "v0", name, _, "_v", "builder", "0", last]:
                return {"render-runtime": "8.x"} if (name, last) == (account, _PINNED) else None
            case _:
                return None


_PINNED = "pinneddeps"


def _workspace(name: str, weight: int) -> dict[str, object]:
    return {"name": name, "weight": weight, "production": name == "master"}


def _app(account: str, name: str, workspace: str) -> dict[str, object]:
    identity = f"{account}.{name}@1.0.0"
    return {"app": identity, "id": identity, "location": workspace, "_source": "installation"}

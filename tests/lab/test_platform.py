"""The platform answers in the shapes that the CLI's real one has."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import h11
import pytest
import trio

from probe.lab import oauth
from probe.lab.platform import IDENTITIES
from probe.lab.tokens import Mint
from probe.lab.world import World


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Awaitable[Reply]]


@pytest.fixture
def ask(world: World) -> Ask:
    """Sends one request over verified TLS, through the first address of the host."""

    async def send(
        method: str, host: str, path: str, body: bytes = b"", *, where: int = 0, **headers: str
    ) -> Reply:
        store = host.startswith("store-")
        place = world.info.seen("sa-east", "cdn-a" if store else "api")[where]
        context = ssl.create_default_context(cafile=world.info.roots)
        tcp = await trio.open_tcp_stream(place.ip, place.port)
        tls = trio.SSLStream(tcp, context, server_hostname=host, https_compatible=True)
        wire = h11.Connection(h11.CLIENT)
        fields = [("Host", host), ("Connection", "close"), ("Content-Length", str(len(body)))]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        head = wire.send(h11.Request(method=method, target=path, headers=fields)) or b""
        await tls.send_all(head + body)
        if body:
            wire.send(h11.Data(data=body))
        wire.send(h11.EndOfMessage())
        reply = Reply()
        while True:
            match wire.next_event():
                case h11.NEED_DATA:
                    wire.receive_data(bytes(await tls.receive_some()))
                case h11.Response(status_code=status, headers=received):
                    reply.status = status
                    reply.headers = {name.decode(): value.decode() for name, value in received}
                case h11.Data(data=data):
                    reply.body += data
                case _:
                    break
        await tls.aclose()
        return reply

    return send


async def token_of(ask: Ask, world: World, appkey: str = "lab-appkey-external") -> str:
    shown = {"appkey": appkey, "apptoken": IDENTITIES[appkey].apptoken}
    host, path = world.info.layout.hosts.login, "/api/vtexid/apptoken/login"
    reply = await ask("POST", host, path, json.dumps(shown).encode())
    assert reply.json()["authStatus"] == "Success"
    assert reply.json()["expires"] > time.time()
    return str(reply.json()["token"])


async def test_a_developer_logs_in_and_reads_workspaces_and_apps(ask: Ask, world: World) -> None:
    hosts = world.info.layout.hosts
    bearer = f"Bearer {await token_of(ask, world)}"
    whoami = await ask("GET", hosts.platform, "/teststore/master", Authorization=bearer)
    assert whoami.json() == {"name": "master", "weight": 100, "production": True}
    workspaces = await ask("GET", hosts.platform, "/teststore", Authorization=bearer)
    assert len(workspaces.json()) == 2
    path = "/apps/v0/teststore/master/apps"
    apps = await ask("GET", hosts.infra, path, Authorization=bearer)
    assert set(apps.json()["data"][0]) == {"app", "id", "location", "_source"}
    path = "/vtex.builder-hub/v0/teststore/master/_v/builder/0/pinneddeps"
    assert (await ask("GET", hosts.app, path, Authorization=bearer)).status == 200


async def test_the_start_up_call_needs_no_token(ask: Ask, world: World) -> None:
    reply = await ask("GET", world.info.layout.hosts.control, "/_v/public/toolbelt/global-config")
    assert set(reply.json()) == {"config", "messages", "featureFlags"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer forged.token.here", "Basic eDp5"])
async def test_without_a_good_token_everything_is_refused(
    ask: Ask, world: World, header: str
) -> None:
    host = world.info.layout.hosts.platform
    reply = await ask("GET", host, "/teststore/master", Authorization=header)
    assert reply.status == 401
    assert set(reply.json()) == {"code", "message", "requestId"}
    assert reply.json()["requestId"] == reply.headers["x-request-id"]


async def test_an_identity_without_rights_is_denied_with_the_action_and_the_resource(
    ask: Ask, world: World
) -> None:
    bearer = f"Bearer {await token_of(ask, world, 'lab-appkey-narrow')}"
    host = world.info.layout.hosts.platform
    reply = await ask("GET", host, "/teststore", Authorization=bearer)
    assert reply.status == 403
    assert "cannot perform action GET on resource vrn:apps:" in reply.json()["message"]


async def test_wrong_credentials_are_told_apart(ask: Ask, world: World) -> None:
    body = b'{"appkey": "lab-appkey-external", "apptoken": "wrong"}'
    host, path = world.info.layout.hosts.login, "/api/vtexid/apptoken/login"
    reply = await ask("POST", host, path, body)
    assert (reply.status, reply.json()) == (401, {"authStatus": "WrongCredentials"})


async def test_the_login_host_tells_good_tokens_from_bad(ask: Ask, world: World) -> None:
    host, path = world.info.layout.hosts.login, "/api/vtexid/credential/validate"
    for token, status in ((await token_of(ask, world), "Success"), ("x.y.z", "InvalidToken")):
        reply = await ask("POST", host, path, json.dumps({"token": token}).encode())
        assert reply.json()["authStatus"] == status


async def test_each_cluster_names_itself(ask: Ask, world: World) -> None:
    host, path = world.info.layout.hosts.control, "/_v/public/toolbelt/global-config"
    names = [
        (await ask("GET", host, path, where=where)).headers["x-vtex-io-cluster-id"]
        for where in (0, 1)
    ]
    assert names == ["cluster-1", "cluster-2"]


async def test_a_refresh_token_is_good_once(ask: Ask, world: World) -> None:
    host = world.info.layout.hosts.auth
    form = (
        f"grant_type=refresh_token&refresh_token={oauth.FIRST_REFRESH_TOKEN}"
        f"&client_id={oauth.CLIENT_ID}&client_secret={oauth.CLIENT_SECRET}"
    ).encode()
    first = await ask("POST", host, "/oauth/token", form)
    assert first.json()["refresh_token"] != oauth.FIRST_REFRESH_TOKEN
    again = await ask("POST", host, "/oauth/token", form)
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")
    bearer = f"Bearer {first.json()['access_token']}"
    assert (await ask("GET", host, "/v1/me", Authorization=bearer)).status == 200


async def test_an_unknown_client_and_an_unknown_grant_are_refused(ask: Ask, world: World) -> None:
    host = world.info.layout.hosts.auth
    reply = await ask("POST", host, "/oauth/token", b"grant_type=client_credentials&client_id=x")
    assert (reply.status, reply.json()["error"]) == (401, "invalid_client")
    form = f"grant_type=x&client_id={oauth.CLIENT_ID}&client_secret={oauth.CLIENT_SECRET}"
    reply = await ask("POST", host, "/oauth/token", form.encode())
    assert reply.json()["error"] == "unsupported_grant_type"


async def test_basic_and_keys_and_cookie_let_in_and_nothing_else_does(
    ask: Ask, world: World
) -> None:
    host = world.info.layout.hosts.auth
    for path in ("/basic", "/digest", "/keys", "/session/me", "/v1/me"):
        reply = await ask("GET", host, path)
        assert reply.status == 401
        assert "www-authenticate" in reply.headers
    packed = base64.b64encode(f"{oauth.USERNAME}:{oauth.PASSWORD}".encode()).decode()
    assert (await ask("GET", host, "/basic", Authorization=f"Basic {packed}")).status == 200
    key = oauth.API_KEY
    assert (await ask("GET", host, "/keys", X_VTEX_API_AppToken=key)).status == 200
    login = await ask("POST", host, "/session", f"password={oauth.PASSWORD}".encode())
    cookie = login.headers["set-cookie"].partition(";")[0]
    assert (await ask("GET", host, "/session/me", Cookie=cookie)).status == 200


async def test_digest_is_computed_as_rfc_7616_says(ask: Ask, world: World) -> None:
    host = world.info.layout.hosts.auth
    offer = (await ask("GET", host, "/digest")).headers["www-authenticate"]
    nonce = offer.partition('nonce="')[2].partition('"')[0]

    def digest(text: str) -> str:
        return sha256(text.encode()).hexdigest()

    secret = digest(f"{oauth.USERNAME}:lab:{oauth.PASSWORD}")
    response = digest(f"{secret}:{nonce}:00000001:abc:auth:{digest('GET:/digest')}")
    header = (
        f'Digest username="{oauth.USERNAME}", realm="lab", nonce="{nonce}", uri="/digest", '
        f'qop=auth, nc=00000001, cnonce="abc", response="{response}", algorithm=SHA-256'
    )
    assert (await ask("GET", host, "/digest", Authorization=header)).status == 200


async def test_a_customer_walks_from_the_front_page_to_the_cart(ask: Ask) -> None:
    host = "store-001.example"
    assert b"/shirts" in (await ask("GET", host, "/")).body
    assert b"/blue-shirt/p" in (await ask("GET", host, "/shirts")).body
    assert b"Add to cart" in (await ask("GET", host, "/blue-shirt/p")).body
    body = b'{"items": [{"id": "101", "quantity": 2, "seller": "1"}]}'
    path = "/api/checkout/pub/orderForms/simulation"
    reply = await ask("POST", host, path, body)
    assert reply.json()["items"][0]["availability"] == "available"
    assert reply.json()["totals"] == [{"id": "Items", "value": 9980}]


def test_a_token_is_good_until_it_expires_and_only_as_it_was_issued() -> None:
    mint = Mint(b"secret")
    token = mint.issue("key", "external", now=100.0, life=50.0)
    claims = mint.read(token, 149.0)
    assert claims is not None
    assert (claims.subject, claims.role, claims.expires) == ("key", "external", 150)
    assert mint.read(token, 150.0) is None
    assert mint.read(token[:-2] + "xx", 149.0) is None
    assert Mint(b"other").read(token, 149.0) is None
    for text in ("", ".", "..", "a.b", "a.b.c", "ä.ö.ü"):
        assert mint.read(text, 149.0) is None

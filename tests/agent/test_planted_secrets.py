"""Recognisable secrets of every kind, in real processes: no output of any command shows one.

The server is as careless as can be: it throws back what it is sent, in clear and in base64, and
shows the secrets of other checks. More than twenty secrets are planted, and every output is
searched for each of them as it stands, in base64, and by the agent's own reading of encodings.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from probe.flow.known import KnownSecrets
from tests.support.agents import StartAgent
from tests.support.http_server import Ca, Http, Reply, Seen, Server, serve

from .test_defects import PROGRAM

KINDS = re.findall(
    r"\w+",
    """BEARER BASIC_USER BASIC_PASSWORD DIGEST_PASSWORD KEY_HEADER JSON_FIELD FORM_FIELD
    OAUTH_CLIENT OAUTH_SECRET REFRESH JSON_LOGIN AWS_ACCESS AWS_SECRET AWS_SESSION
    COOKIE_PASSWORD COMMAND_ENV
    COMMAND_STDIN HTTP_SD_TOKEN PROXY_PASSWORD UNUSED""",
)
GIVEN = {kind: f"{base64.b32encode(os.urandom(15)).decode()}-{kind[:2]}/+" for kind in KINDS}
ISSUED = {
    kind: base64.urlsafe_b64encode(os.urandom(24)).decode()
    for kind in ("ACCESS", "ROTATED", "LOGIN", "COOKIE", "CAPTURED", "UNASKED", "CODE")
}
FILES = ("BASIC_USER", "DIGEST_PASSWORD", "AWS_SESSION")
"""Secrets that stand in files; all others are variables."""


def careless(seen: Seen) -> Reply:
    """Throw back everything, with the secrets of others."""
    said = "\n".join([seen.target, *seen.headers.values(), seen.body.decode()])
    body = "\n".join([said, base64.b64encode(said.encode()).decode(), *GIVEN.values()])
    heads = {
        "X-Echo": seen.headers.get("authorization", "none"),
        "X-Other": GIVEN["OAUTH_SECRET"],
        "Set-Cookie": f"tracking={ISSUED['UNASKED']}; Path=/",
        "Location": f"/next?code={ISSUED['CODE']}&state=1",
    }
    return Reply(500, body, tuple(heads.items()))


def wants_digest(seen: Seen) -> Reply:
    challenge = 'Digest realm="r", nonce="n0nce", qop="auth", algorithm=SHA-256'
    found = "authorization" in seen.headers
    return careless(seen) if found else Reply(401, "", (("WWW-Authenticate", challenge),))


ROUTES = Http(
    {
        "/capture": Reply(200, {"value": ISSUED["CAPTURED"]}),
        "/digest": wants_digest,
        "POST /oauth": Reply(
            200, {"access_token": ISSUED["ACCESS"], "refresh_token": ISSUED["ROTATED"]}
        ),
        "POST /login": Reply(200, {"token": ISSUED["LOGIN"]}),
        "POST /form": Reply(200, "", (("Set-Cookie", f"session={ISSUED['COOKIE']}"),)),
        "/hop": lambda _seen: Reply(302, "", (("Location", f"/echo?code={ISSUED['CODE']}"),)),
        "/targets": lambda seen: Reply(500, seen.headers.get("authorization", "")),
        "/echo": careless,
    }
)


def configuration(folder: Path, port: int, seconds: int) -> Path:
    base, path = f"https://localhost:{port}", folder / "probe.yaml"
    path.write_text(f"""\
region: sa-east
listen: 127.0.0.1:0
state_dir: {folder}/state
targets:
  listed: {{static: [localhost], http: [{{url: "{base}/targets", authorization: env:HTTP_SD_TOKEN,
            trust: {{file: roots.pem}}}}], refresh: 1s}}
checks:
  - name: calls
    kind: api
    targets: listed
    trust: {{file: roots.pem}}
    http2: false
    interval: {seconds}s
    flow_timeout: {seconds}s
    timeout: 5s
    evidence_headers: [x-echo, x-other, set-cookie, location, authorization]
    client_certificate: {{certificate: file:leaf.pem, key: file:key.pem}}
    auth:
      bearer: {{kind: bearer, token: env:BEARER}}
      basic: {{kind: basic, username: file:BASIC_USER, password: env:BASIC_PASSWORD}}
      digest: {{kind: digest, username: probe, password: file:DIGEST_PASSWORD}}
      keys: {{kind: headers, headers: {{X-Key: env:KEY_HEADER}}}}
      login: {{kind: json_login, url: "{base}/login", json: {{k: env:JSON_LOGIN}}, token: token}}
      cookie: {{kind: cookie, url: "{base}/form", cookie: session,
               form: {{p: env:COOKIE_PASSWORD}}}}
      rotates: {{kind: oauth2, grant: refresh_token, token_url: "{base}/oauth", client_auth: body,
                client_id: env:OAUTH_CLIENT, client_secret: env:OAUTH_SECRET,
                refresh_token: env:REFRESH}}
      signs: {{kind: oauth2, grant: client_credentials, token_url: "{base}/oauth", client_id: probe,
              client_auth: private_key_jwt, jwt_key: {{key: file:assertion.pem, algorithm: ES256}}}}
      aws: {{kind: sigv4, access_key: env:AWS_ACCESS, secret_key: env:AWS_SECRET,
            session_token: file:AWS_SESSION, service: sts, region: eu}}
    steps:
      - {{name: capture, get: "{base}/capture", capture: {{pin: {{json: value, secret: true}}}}}}
      - {{name: query, get: "{base}/echo", query: {{pin: "{{pin}}"}}}}
      - {{name: body, post: "{base}/echo", json: {{field: env:JSON_FIELD, pin: "{{pin}}"}}}}
      - {{name: form, post: "{base}/echo", form: {{field: env:FORM_FIELD}}}}
      - {{name: hop, get: "{base}/hop", follow_redirects: 2}}
      - {{name: on-digest, get: "{base}/digest", auth: digest}}
      - {{name: lent, get: "{base}/echo", headers: {{X-Token: "{{auth.login}}"}}}}
      - {{name: on-bearer, get: "{base}/echo", auth: bearer}}
      - {{name: on-basic, get: "{base}/echo", auth: basic}}
      - {{name: on-keys, get: "{base}/echo", auth: keys}}
      - {{name: on-cookie, get: "{base}/echo", auth: cookie}}
      - {{name: on-rotates, get: "{base}/echo", auth: rotates}}
      - {{name: on-signs, get: "{base}/echo", auth: signs}}
      - {{name: on-aws, get: "{base}/echo", auth: aws}}
  - name: other
    kind: api
    trust: {{file: roots.pem}}
    interval: 2s
    evidence_headers: [x-other]
    steps: [{{name: look, get: "{base}/echo", auth: null}}]
  - name: programs
    kind: command
    interval: 2s
    steps:
      - name: says-all
        command: [/bin/sh, -c, "env; cat; tr '\\\\0' '\\\\n' < /proc/$PPID/environ; false"]
        environment: {{KEY: env:COMMAND_ENV}}
        stdin: env:COMMAND_STDIN
""")
    return path


class Planted:
    """The folder, the configuration, the environment, and what must not be shown."""

    def __init__(self, folder: Path, ca: Ca, server: Server, seconds: int = 30) -> None:
        self.folder, self.port = folder, server.port
        (folder / "roots.pem").write_bytes(ca.roots.read_bytes())
        own = ec.generate_private_key(ec.SECP256R1())
        self.keys = [self._key("key.pem", ca.pki.leaf_key), self._key("assertion.pem", own)]
        certificate = ca.pki.leaf(["client"]).public_bytes(serialization.Encoding.PEM)
        (folder / "leaf.pem").write_bytes(certificate)
        for name in FILES:
            (folder / name).write_text(GIVEN[name] + "\n")
        self.config = configuration(folder, server.port, seconds)
        self.environ = {name: GIVEN[name] for name in KINDS if name not in FILES}
        self.environ |= {
            "HTTPS_PROXY": f"http://me:{quote(GIVEN['PROXY_PASSWORD'])}@proxy.example:3128",
            "PATH": os.environ["PATH"],
        }
        self.known = KnownSecrets()
        self.secrets = [*GIVEN.values(), *ISSUED.values(), *self.keys]
        for secret in self.secrets:
            self.known.learn(secret)

    def _key(self, name: str, key: CertificateIssuerPrivateKeyTypes) -> str:
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.folder / name).write_bytes(pem)
        return "".join(pem.decode().splitlines()[1:-1])[48:]  # what differs from key to key

    def in_(self, text: str) -> list[str]:
        """The lines of a text that show a secret."""
        forms = {*self.secrets, *(base64.b64encode(one.encode()).decode() for one in self.secrets)}
        return [
            line
            for line in re.split(r"[\n<>]", text)
            if any(form in line for form in forms) or self.known.near(line)
        ]

    async def probe(
        self, *arguments: str, program: tuple[str, ...] = ("-m", "probe"), **more: str
    ) -> str:
        """What a command writes, on both of its streams."""
        done = await trio.run_process(
            [sys.executable, *program, *arguments, "--config", str(self.config)],
            env=self.environ | more, capture_stdout=True, capture_stderr=True, check=False,
        )  # fmt: skip
        return (done.stdout + done.stderr).decode()


@asynccontextmanager
async def planted(folder: Path, seconds: int = 30) -> AsyncIterator[Planted]:
    (folder / "ca").mkdir()
    ca = Ca(folder / "ca")
    async with serve(ca.context("localhost"), ROUTES) as server:
        yield Planted(folder, ca, server, seconds)


def test_the_search_finds_what_it_searches_for(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    here = Planted(tmp_path, Ca(tmp_path / "ca"), Server(1))
    for secret in here.secrets:
        assert here.in_(f"well\nsaid {secret[3:12]}\nwell")
        assert here.in_(f'"{base64.b64encode(b"ab" + secret.encode()).decode()}"')
    assert not here.in_(here.config.read_text())


async def test_no_command_writes_a_secret(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    async with planted(tmp_path) as here, trio.open_nursery() as nursery:

        async def run(command: str) -> None:
            said[command] = await here.probe(*command.split())

        nursery.start_soon(run, "validate")
        for form in ("table", "json", "junit"):
            nursery.start_soon(run, f"check --all -o {form}")
    for command, text in said.items():
        assert here.in_(text) == [], command
    for command in ("check --all -o json", "check --all -o junit"):
        for name in ("on-aws", "on-signs", "on-cookie", "on-rotates", "says-all", "look"):
            assert name in said[command]
        assert "$BEARER" in said[command]


async def test_a_defect_in_the_midst_of_secrets_shows_none(tmp_path: Path) -> None:
    """The planted exception says a secret; nobody repeats what an exception said."""
    program = PROGRAM.replace('"s3cr3t"', 'os.environ["BEARER"]')
    async with planted(tmp_path) as here:
        said = await here.probe(
            "check", "--all", "-o", "json",
            program=("-c", program),
            PLANTED="probe.flow.evidence:of_exchange probe.flow.command:run",
            TRIGGER=str(here.config),
        )  # fmt: skip
    assert "IndexError" in said
    assert here.in_(said) == []


async def test_a_running_agent_shows_no_secret_anywhere(tmp_path: Path, agents: StartAgent) -> None:
    async with planted(tmp_path, 10) as here, agents(here.config, environ=here.environ) as agent:
        for check in ("calls", "other", "programs"):
            await agent.said("state", check=check)
        shown = []
        for page in ("/", "/api/v1/status", "/target/localhost", "/readyz", "/healthz", "/metrics"):
            shown.append((await agent.get(page)).text)
        shown.append(Path(f"/proc/{agent.process.pid}/cmdline").read_text())
        shown += map(str, agent.log)
        assert "(withheld: " in "".join(shown)
        limits = Path(f"/proc/{agent.process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        assert [line for text in shown for line in here.in_(text)] == []
        kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
        assert kept
        for path in kept:
            lines = here.in_(str(path) + "\n" + path.read_text())
            assert all(ISSUED["ROTATED"] in line for line in lines)
            assert path.stat().st_mode & 0o077 == 0

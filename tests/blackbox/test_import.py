"""``probe import``: what is written, what is listed, and that nothing is half-written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from probe.cli.main import main
from probe.config.loading import validate
from probe.model.flow import ApiCheck
from probe.model.spec import Spec, TlsCheck

MODULES = """\
modules:
  http_2xx: {prober: http, timeout: 5s, http: {valid_status_codes: [200, 301], fail_if_ssl: true}}
  http_auth:
    prober: http
    http:
      basic_auth: {username: monitor, password: hunter2-very-secret}
      headers: {X-Kind: probe, Accept: "text/{html}"}
      fail_if_body_not_matches_regexp: ["all is (well|good)"]
      fail_if_body_matches_regexp: [broken]
      fail_if_header_not_matches: [{header: Content-Type, regexp: "^text/"}]
  http_oauth:
    prober: http
    http:
      method: POST
      body: '{"a": 1}'
      oauth2:
        {client_id: me, client_secret: another-secret, token_url: "https://login.example/token", scopes: [a, b]}
  http_bearer: {prober: http, http: {bearer_token: bearer-secret-value, follow_redirects: false}}
  http_key: {prober: http, http: {headers: {Authorization: "Token key-secret-value"}}}
  tls_connect:
    prober: tcp
    timeout: 3s
    tcp: {tls: true, preferred_ip_protocol: ip4, tls_config: {server_name: shop.example, min_version: TLS13}}
  tls_any: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  tcp_connect: {prober: tcp}
  banner: {prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-"}]}}
  smtp:
    prober: tcp
    tcp: {query_response: [{expect: "^220"}, {send: "EHLO x"}, {send: STARTTLS}, {starttls: true}]}
  ping: {prober: icmp}
"""  # noqa: E501 - as it is written there
SECRETS = ("hunter2-very-secret", "another-secret", "bearer-secret-value", "key-secret-value")
RULES = """\
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "127.0.0.1:9115"}
"""
JOBS = f"""\
global: {{scrape_interval: 20s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["localhost:9100"]}}]
  - job_name: web
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs:
      - targets:
          - https://www.shop.example
          - https://b.shop.example/
          - plain.example:8080/x?y={{1}}
        labels: {{team: shop}}
{RULES}
  - job_name: labelled
    metrics_path: /probe
    static_configs:
      - {{targets: ["db.example:5432"], labels: {{kind: tcp_connect}}}}
      - {{targets: ["mail.example:25"], labels: {{kind: smtp}}}}
      - {{targets: ["x.example:1"], labels: {{kind: ping}}}}
    relabel_configs:
      - {{source_labels: [kind], target_label: __param_module}}
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{regex: kind, action: labeldrop}}
  - job_name: lists
    metrics_path: /probe
    params: {{module: [tls_connect]}}
    file_sd_configs: [{{files: [hosts.yml, urls.yml]}}]
    http_sd_configs: [{{url: "https://inventory.example/targets"}}]
    kubernetes_sd_configs: [{{role: ingress}}]
{RULES}
  - job_name: private
    metrics_path: /probe
    params: {{module: [http_auth]}}
    static_configs: [{{targets: ["https://api.shop.example/private"]}}]
{RULES}
"""


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "blackbox.yml").write_text(MODULES)
    (tmp_path / "prometheus.yml").write_text(JOBS)
    (tmp_path / "hosts.yml").write_text('[{"targets": ["a.example:443", "b.example:443"]}]')
    (tmp_path / "urls.yml").write_text('[{"targets": ["c.example/x:443", "d.example:443"]}]')
    return tmp_path


def run(there: Path, *more: str, prometheus: bool = True) -> Result:
    files = [str(there / "blackbox.yml"), *([str(there / "prometheus.yml")] if prometheus else [])]
    return CliRunner().invoke(main, ["import", *files, "--into", str(there / "out"), *more])


def spec_of(there: Path) -> Spec:
    return validate(there / "out" / "probe.yaml", environ={})[0]


def test_checks_are_what_the_jobs_probe(there: Path) -> None:
    assert run(there).exit_code == 0
    spec = spec_of(there)
    checks = {check.name: check for check in spec.checks}
    web, plain = checks["web"], checks["web-2"]
    assert isinstance(web, ApiCheck)
    assert isinstance(plain, ApiCheck)
    assert web.steps[0].request.url == "https://{target}/"  # type: ignore[union-attr]
    assert plain.steps[0].request.url == "http://{target}/x?y={{1}}"  # type: ignore[union-attr]
    assert (web.interval, web.timeout) == (20.0, 5.0)
    listed = yaml.safe_load((there / "out" / "targets" / "web.yaml").read_text())
    assert listed == [
        {"targets": ["www.shop.example", "b.shop.example"], "labels": {"team": "shop"}}
    ]
    kinds = {name: check.kind for name, check in checks.items() if isinstance(check, TlsCheck)}
    assert kinds["labelled"] == "tcp"
    smtp, lists = checks["labelled-2"], checks["lists"]
    assert isinstance(smtp, TlsCheck)
    assert smtp.starttls == "smtp"
    assert isinstance(lists, TlsCheck)
    assert (lists.sni, lists.providers, lists.profiles[0].kind) == (
        "shop.example",
        ("ip4",),
        "tls13",
    )
    private = checks["private"]
    assert isinstance(private, ApiCheck)
    assert private.hosts == ("api.shop.example",)
    assert private.steps[0].expect.matches == ("all is (well|good)",)  # type: ignore[union-attr]
    assert spec.blackbox is not None
    assert spec.blackbox.modules.keys() == {
        *("http_2xx", "http_auth", "http_oauth", "http_bearer", "http_key", "tls_connect"),
        *("tls_any", "tcp_connect", "banner", "smtp"),
    }
    assert ("api.shop.example", None) in spec.blackbox.targets


def test_a_list_that_can_be_followed_is_followed(there: Path) -> None:
    run(there)
    lists = [one for name, one in spec_of(there).targets.items() if name.startswith("inline:lists")]
    paths = {source.path for one in lists for source in one.files}
    assert str(there / "hosts.yml") in paths
    assert [source.url for one in lists for source in one.http] == [
        "https://inventory.example/targets"
    ]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("blackbox.yml:2:", "fail_if_ssl: a check cannot demand"),
        ("blackbox.yml:", "insecure_skip_verify: chains are always judged"),
        ("blackbox.yml:", "query_response: what a server says is not compared"),
        ("blackbox.yml:", "modules.ping: nothing here pings"),
        ("prometheus.yml:", "the module ping has no counterpart"),
        ("prometheus.yml:", "kubernetes_sd_configs: targets of this discovery"),
        ("prometheus.yml:", "urls.yml holds URLs"),
        ("prometheus.yml:", "http_sd_configs of lists: its entries must be host:port"),
        ("prometheus.yml:", "modules.http_oauth: no scrape job names a target"),
    ],
)
def test_what_has_no_counterpart_is_listed_with_place_and_reason(
    there: Path, place: str, said: str
) -> None:
    lines = run(there).output.splitlines()
    assert any(place in line and said in line for line in lines), lines


def test_secrets_are_kept_apart_and_for_their_owner_alone(there: Path) -> None:
    output = run(there).output
    files = [path for path in (there / "out").rglob("*") if path.is_file()]
    for path in files:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o007 == 0
        if path.parent.name == "secrets":
            assert mode == 0o600
            continue
        assert not any(secret in path.read_text() for secret in SECRETS)
    assert not any(secret in output for secret in SECRETS)
    kept = {path.read_text() for path in files if path.parent.name == "secrets"}
    assert set(SECRETS[:3]) <= kept


def test_nothing_is_overwritten_unless_told(there: Path) -> None:
    (there / "out").mkdir()
    (there / "out" / "probe.yaml").write_text("mine")
    result = run(there)
    assert result.exit_code == 1
    assert "probe.yaml" in result.output
    assert "--force" in result.output
    assert [path.name for path in (there / "out").iterdir()] == ["probe.yaml"]
    assert (there / "out" / "probe.yaml").read_text() == "mine"
    assert run(there, "--force").exit_code == 0
    assert spec_of(there).checks


def test_what_would_not_pass_validate_is_not_written(there: Path) -> None:
    bad = MODULES.replace('["all is (well|good)"]', '["("]')
    (there / "blackbox.yml").write_text(bad)
    result = run(there)
    assert result.exit_code == 1
    assert "nothing was written" in result.output
    assert list((there / "out").iterdir()) == []


def test_modules_alone_are_imported_for_probe_alone(there: Path) -> None:
    result = run(there, prometheus=False)
    assert result.exit_code == 0
    assert "no scrape job names a target" in result.output
    assert spec_of(there).checks == ()


def test_odd_input_costs_the_odd_parts_alone(there: Path) -> None:
    (there / "blackbox.yml").write_text("""\
modules:
  text: {prober: http, http: "text"}
  listed: {prober: [1]}
  number: 5
  late: {prober: tcp, timeout: soon, tcp: {tls: true, tls_config: {ca_file: nowhere.pem}}}
  "é odd": {prober: http, timeout: 2h, http: {method: PROPFIND, headers: {X-Api-Key: "k{ey"}}}
""")
    (there / "prometheus.yml").write_text("""\
scrape_configs:
  - job_name: "web é/1"
    metrics_path: /probe
    params: {module: ["é odd"], debug: ["true"]}
    static_configs:
      - targets: ["https://[2001:db8::1]:8443/x", "https://u:p@x.example/", "http://127.0.0.1:9/"]
    relabel_configs: [{source_labels: [__address__], target_label: __param_target}]
  - job_name: broken
    metrics_path: /probe
    params: {module: [late]}
    static_configs: [{targets: ["a.example:1"]}]
    relabel_configs: [{source_labels: [__address__], regex: "(", target_label: __param_target}]
  - job_name: lost
    metrics_path: /probe
    static_configs: "x"
    file_sd_configs: [{files: ["*.no"]}]
  - 7
""")
    result = run(there)
    assert result.exit_code == 0, result.output
    (check,) = spec_of(there).checks
    assert isinstance(check, ApiCheck)
    assert check.hosts == ("2001:db8::1",)
    for said in (
        "timeout: it is not a duration",
        "credentials go over TLS only",
        "user name or password",
        "relabel_configs: regex:",
        "there is no file *.no now",
        "ca_file: there is no such file",
    ):
        assert said in result.output


@pytest.mark.parametrize("text", ["", "modules: [", "\t"])
def test_a_file_that_cannot_be_read_is_said_with_its_place(there: Path, text: str) -> None:
    (there / "blackbox.yml").write_text(text)
    result = run(there)
    assert result.exit_code == 1
    assert "blackbox.yml:1:" in result.output
    assert not (there / "out").exists()


@pytest.mark.parametrize(
    ("dialogue", "kind", "starttls"),
    [
        ("{expect: '^220 '}, {send: STARTTLS}, {expect: '^220'}", "tls", "smtp"),
        ('{expect: \'^220\'}, {send: "ehlo x\\r"}, {send: "STARTTLS\\r"}', "tls", "smtp"),
        ("{expect: '^\\+OK'}, {send: STLS}, {expect: '^\\+OK'}", "tls", "pop3"),
        ("{expect: 'OK.*STARTTLS'}, {send: '. STARTTLS'}, {expect: OK}", "tls", "imap"),
        (
            "{send: '<stream:stream>'}, {expect: ':xmpp-tls'},"
            " {send: \"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\"}",
            "tcp",
            None,
        ),
        ("{expect: '^200'}, {send: STARTTLS}, {expect: '^382'}", "tcp", None),
        ("{expect: '^220'}, {send: AUTH TLS}, {expect: '^234'}", "tcp", None),
    ],
)
def test_a_dialogue_becomes_the_protocol_it_speaks_and_is_listed(
    there: Path, dialogue: str, kind: str, starttls: str | None
) -> None:
    (there / "blackbox.yml").write_text(
        "modules: {m: {prober: tcp, tcp: {query_response: "
        f"[{dialogue}, {{starttls: true}}]}}}}}}"
    )
    result = run(there, prometheus=False)
    assert result.exit_code == 0, result.output
    said = "besides STARTTLS is not compared" if starttls else "TLS after it is not probed"
    assert said in result.output
    written = yaml.safe_load((there / "out" / "probe.yaml").read_text())["blackbox"]["modules"]["m"]
    assert (written["kind"], written.get("starttls")) == (kind, starttls)


def test_no_module_sends_the_password_of_another(there: Path) -> None:
    login = "{prober: http, http: {basic_auth: {username: u, password: %s}}}"
    header = "{prober: http, http: {headers: {x-api-key: header-key}}}"
    other = "{prober: http, http: {headers: {api-key: other-key}}}"
    (there / "blackbox.yml").write_text(
        f"modules:\n  a b: {login % 'first'}\n  a-b: {login % 'second'}\n  a/b: {login % 'third'}\n"
        f"  c: {header}\n  c-x: {other}\n"
    )
    result = run(there, prometheus=False)
    assert result.exit_code == 0, result.output
    assert "blackbox.yml:2:3: modules.a b: its name is a-b-2 here; ask with module=a-b-2" in (
        result.output
    )
    assert "modules.a/b: its name is a-b-3 here" in result.output
    assert "modules.a-b: its name" not in result.output
    written = yaml.safe_load((there / "out" / "probe.yaml").read_text())["blackbox"]["modules"]

    def sent(reference: str) -> str:
        return (there / "out" / reference.removeprefix("file:")).read_text()

    logins = {name: module["auth"]["login"] for name, module in written.items()}
    assert {n: sent(one["password"]) for n, one in logins.items() if "password" in one} == {
        "a-b": "second",
        "a-b-2": "first",
        "a-b-3": "third",
    }
    assert sent(logins["c"]["headers"]["x-api-key"]) == "header-key"
    assert sent(logins["c-x"]["headers"]["api-key"]) == "other-key"


def test_tls_that_probe_does_not_demand_is_listed(there: Path) -> None:
    (there / "blackbox.yml").write_text(
        "modules:\n  X: {prober: http, http: {fail_if_not_ssl: true}}\n"
        "  Y: {prober: http, http: {fail_if_not_ssl: false}}\n"
    )
    output = run(there, prometheus=False).output
    said = "http.fail_if_not_ssl: /probe does not demand TLS; ask with https://"
    assert f"modules.X.{said}" in output
    assert f"modules.Y.{said}" not in output


@pytest.mark.parametrize("fallback", [True, False])
def test_one_ip_version_is_listed_where_the_other_would_do(there: Path, fallback: bool) -> None:
    (there / "blackbox.yml").write_text(
        "modules: {tcp_connect: {prober: tcp, tcp: {preferred_ip_protocol: ip4, "
        f"ip_protocol_fallback: {str(fallback).lower()}}}}}}}"
    )
    output = run(there).output
    said = "preferred_ip_protocol of labelled: the check asks for IPv4 alone"
    assert (said in output) is fallback


@pytest.mark.parametrize("changed", [True, False])
def test_a_list_whose_labels_are_changed_is_copied_with_them(there: Path, changed: bool) -> None:
    (there / "hosts.yml").write_text(
        '[{"targets": ["a.example:443"], "labels": {"squad": "shop"}}]'
    )
    rename = """
      - {source_labels: [squad], target_label: team}
      - {regex: squad, action: labeldrop}
"""
    (there / "prometheus.yml").write_text(f"""\
scrape_configs:
  - job_name: lists
    metrics_path: /probe
    params: {{module: [tls_any]}}
    file_sd_configs: [{{files: [hosts.yml]}}]
{RULES.rstrip()}{rename if changed else ""}
""")
    result = run(there)
    assert result.exit_code == 0, result.output
    assert ("labels that relabelling changes" in result.output) is changed
    copy = there / "out" / "targets" / "lists.yaml"
    assert copy.exists() is changed
    if changed:
        listed = yaml.safe_load(copy.read_text())
        assert listed == [{"targets": ["a.example:443"], "labels": {"team": "shop"}}]

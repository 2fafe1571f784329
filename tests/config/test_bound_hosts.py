"""Where credentials and connections may go, as `probe validate` says it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probe.model.flow import ApiCheck
from probe.model.spec import Spec
from probe.model.target import AddressRules

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

FILES = {"stores.yaml": "- {targets: [shop.example], labels: {api: api.example}}"}
TEXT = """\
targets:
  stores: {{files: [stores.yaml]}}
  own: {{static: [{{targets: [shop.example], labels: {{api: api.example}}}}]}}
  plain: {{http: ["http://lists.example/t"]}}
  near: {{http: ["http://127.0.0.1:9000/t", "http://localhost/t", "http://[::1]/t"]}}
checks:
- name: a
  kind: api
  targets: {targets}
  {more}
  auth: {{key: {{kind: bearer, token: env:T{entry}}}}}
  steps:
  - {{name: s, {step}}}
"""
LISTED = (
    "the step sends credentials, and a target list outside this file sets the host; bind it in "
)
EXAMPLE = 'to hosts, such as hosts: ["*.shop.example"]'
SENT = 'get: "https://{target}/", auth: key'


def written(
    step: str = SENT, targets: str = "stores", entry: str = "", more: str = "interval: 30s"
) -> str:
    return TEXT.format(step=step, targets=targets, entry=entry, more=more)


@pytest.mark.parametrize(
    "url", ["https://{target}/", "https://{target.name}:8443/", "https://{labels.api}.example/x"]
)
def test_a_list_of_others_names_no_host_for_credentials(problems: Problems, url: str) -> None:
    (found,) = problems(written(f'get: "{url}", auth: key'), FILES)
    assert found == f"probe.yaml:13:20: {LISTED}the auth key {EXAMPLE}"


@pytest.mark.parametrize(
    "text",
    [
        written(entry=', hosts: "*.example"'),
        written(more="hosts: [shop.example]"),
        written(targets="own"),
        written('get: "https://{target}/"'),
        written('get: "https://api.example/{target}?x={labels.api}", auth: key'),
        written('get: "http://{target}/", follow_redirects: 1, redirect_to_http: true'),
        written(targets="near", entry=', hosts: "*.example"'),
    ],
)
def test_what_is_bound_or_carries_nothing_is_good(problems: Problems, text: str) -> None:
    assert problems(text, FILES) == []


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (
            written('post: "https://{target}/", json: {k: env:T}'),
            "13:21",
            "the step sends a secret, and a target list outside this file sets the host; "
            f"bind it in the check {EXAMPLE}",
        ),
        (
            written(
                'get: "https://{target}/"',
                more="client_certificate: {certificate: env:C, key: env:K}",
            ),
            "13:20",
            "the check shows a client certificate, and a target list outside this file sets the "
            f"host; bind it in the check {EXAMPLE}",
        ),
        (
            written('get: "https://api.example/", auth: key', entry=", hosts: [shop.example]"),
            "13:20",
            "the step sends credentials, and api.example is not in the hosts: of the auth key; "
            "add it there",
        ),
        (
            written('get: "https://x.example/", headers: {Host: "{labels.api}"}, auth: key'),
            "13:58",
            "the step sends credentials, so Host must not come from a response or from a "
            f"target list; or bind it in the auth key {EXAMPLE}",
        ),
        (
            written(targets="plain", entry=', hosts: "*.example"'),
            "9:12",
            'the check sends credentials, and "lists.example" gives its targets over http://, '
            "where anybody on the way can change them; write https://",
        ),
        (
            written('get: "https://x.example/", redirect_to_http: true'),
            "13:60",
            "redirect_to_http needs follow_redirects:",
        ),
        (
            written(
                'get: "https://x.example/", redirect_to_http: true, follow_redirects: 1, auth: key'
            ),
            "13:60",
            "the step sends credentials, and secrets need TLS; remove redirect_to_http",
        ),
        (
            written(more="addresses: {allow: [10.0.0.1/8]}"),
            "10:23",
            '"10.0.0.1/8" has bits set after the prefix; write 10.0.0.0/8',
        ),
        (
            written(more="addresses: {nat64: ['2001:db8::/80']}"),
            "10:23",
            '"2001:db8::/80" is not a NAT64 prefix; its length must be one of /32, /40, /48, /56, '
            "/64, /96",
        ),
        (
            written(
                'get: "https://{target}/"',
                more="addresses: {allow: [10.0.0.0/8], deny: 10.0.0.0/8}",
            ),
            "10:23",
            "10.0.0.0/8 is both allowed and denied; remove one of them",
        ),
    ],
)
def test_each_slip_says_what_to_write(
    problems: Problems, text: str, place: str, words: str
) -> None:
    assert problems(text, FILES) == [f"probe.yaml:{place}: {words}"]


def test_a_login_goes_to_no_host_of_a_list(problems: Problems) -> None:
    login = written().replace(
        "{kind: bearer, token: env:T}",
        '{kind: json_login, url: "https://{target}/login", json: {p: env:P}, token: t}',
    )
    found = problems(login, FILES)
    assert any("a login sends secrets, and a target list outside this file" in one for one in found)


def test_a_client_certificate_of_a_tls_check_takes_no_list_from_plain_http(
    problems: Problems,
) -> None:
    check = (
        "checks: [{name: a, kind: tls, targets: {http: ['http://lists.example/t']}, profiles: "
        "[{kind: tls13, client_certificate: {certificate: env:C, key: env:K}}]}]"
    )
    (found,) = problems(check)
    assert "write https://" in found
    assert problems(check.replace("http://", "https://")) == []


def test_rules_of_the_file_and_of_the_check_stand_together(loaded: Loader) -> None:
    text = (
        "addresses: {allow: [127.0.0.0/8, '::1'], deny: 10.0.0.0/8}\n"
        "checks: [{name: a, kind: api, addresses: {allow: 10.1.1.1, nat64: '2001:db8::/96'},"
        " steps: [{name: s, get: https://x.example/}]}]"
    )
    (check,) = loaded(text).checks
    assert isinstance(check, ApiCheck)
    assert check.addresses == AddressRules(
        ("127.0.0.0/8", "::1/128", "10.1.1.1/32"), ("10.0.0.0/8",), ("2001:db8::/96",)
    )

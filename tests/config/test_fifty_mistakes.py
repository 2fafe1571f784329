# ruff: noqa: E501 - problems stand as they are printed, each on one line
"""Two configurations with mistakes of every kind: one look at each finds all, and none twice.

What a single value can be is asked first, of the whole file. Once every value is right, what
they refer to is asked, of the whole file too, and of the files that it names.
"""

from collections.abc import Callable

import pytest

Problems = Callable[..., list[str]]

VALUES = """\
region: sa east
listen: 9469
limits: {concurrency: 0}
limits: {}
defaults: {interval: 15, timeout: 10 sec, profiles: [tls14]}
providers:
  live: {dns: {server: 192.0.2.53, families: [5]}}
  cdn-b: {hostname: https://stores.cdn-b.example}
  cdn-c: {addresses: [198.51.100.700]}
checks:
- name: stores
  kind: tls
  targets: stores
  intervall: 15s
  expect: {fingerprints: aa, ocsp: requird, not_before: yesterday}
  labels: {a-b: c}
- name: c
  kind: tsl
- name: flow
  kind: api
  auth:
    cli: {kind: json_login, url: "https://x.example/", json: {}, token: "t |"}
    key: {kind: bearer, token: hunter2}
  steps:
  - {get: "https://x.example/", expect: {status: 99, matches: "("}}
"""

WRONG_VALUES = """\
probe.yaml:1:9: "sa east" is not a valid name; use letters, digits, dots, hyphens and underscores, 63 at most, starting with a letter or digit
probe.yaml:2:9: this must be text; write for example 127.0.0.1:9469
probe.yaml:3:23: must be at least 1
probe.yaml:4:1: duplicate key "limits", first defined on line 3
probe.yaml:5:22: a duration needs a unit; write 15s
probe.yaml:5:35: "10 sec" is not a duration; write 10s
probe.yaml:5:54: unknown value "tls14"; did you mean "tls13"?
probe.yaml:7:16: unknown key "server"; did you mean "servers"?
probe.yaml:7:47: unknown value "5"; write one of: 4, 6
probe.yaml:8:21: write stores.cdn-b.example, not https://stores.cdn-b.example
probe.yaml:9:23: "198.51.100.700" is not an IP address; write for example 198.51.100.7, 198.51.100.7:8443, 2001:db8::7 or [2001:db8::7]:8443
probe.yaml:14:3: unknown key "intervall"; did you mean "interval"?
probe.yaml:15:26: a SHA-256 fingerprint must have 64 digits; found 2
probe.yaml:15:36: unknown value "requird"; did you mean "require"?
probe.yaml:15:57: write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z
probe.yaml:16:12: "a-b" is not a valid label name; use letters, digits and underscores
probe.yaml:18:9: unknown value "tsl"; did you mean "tls"?
probe.yaml:22:73: "t |" is an incomplete JMESPath expression
probe.yaml:23:32: secrets are not allowed in this file; use a reference: file:/path, env:NAME or credential:name
probe.yaml:25:5: "name" is missing; write for example name: whoami
probe.yaml:25:50: not a valid HTTP status; write a code such as 200, or a class such as 2xx
probe.yaml:25:63: "(" is not a regular expression: missing ), unterminated subpattern at character 1
"""

STORES = """\
- targets: [shop.example, "https://www.shop.example/", shop.example:0]
  label: {tier: gold}
- targets: outlet.example
"""

REFERENCES = """\
providers:
  live: {dns: {ttl_floor: 10m}}
  cdn-c: {addresses: ["2001:db8::7", "2001:db8::7"], dns: {}}
  cdn-d: {}
targets:
  stores: {files: [stores.yaml, store.yaml, stores.txt]}
checks:
- name: stores
  kind: tls
  targets: store
  providers: [live, cdn-x, live]
  profiles: [tls13, {kind: tls13, ciphers: ECDHE}]
  expect: {alpn: h3}
- name: stores
  kind: tls
  targets: [a b]
  interval: 5s
  timeout: 6s
- name: flow
  kind: api
  headers: {Authorization: Bearer hunter2}
  auth:
    cli: {kind: json_login, url: http://login.example/, json: {password: hunter2}, token: t}
    key: {kind: bearer}
  steps:
  - {name: one, get: "https://{hots}/", layer: bakend}
  - {name: one, auth: clii, get: "http://x.example/"}
  - {name: two, capture: {t: {}}, timeout: 2m}
"""

WRONG_REFERENCES = """\
probe.yaml:2:27: ttl_floor (10m) is longer than ttl_cap (5m); write at most ttl_cap
probe.yaml:3:38: duplicate address, first defined on line 3
probe.yaml:3:54: addresses and dns cannot be used together; write one of them
probe.yaml:4:10: this provider has no source of edges; write dns: {}, or hostname:, or addresses:
probe.yaml:6:33: there is no file "store.yaml"; did you mean "stores.yaml"?
probe.yaml:6:45: "stores.txt" must end in .yaml, .yml or .json
probe.yaml:10:12: unknown target list "store"; did you mean "stores"?
probe.yaml:11:21: unknown provider "cdn-x"; did you mean "cdn-d"?
probe.yaml:11:28: duplicate provider, first defined on line 11
probe.yaml:12:21: duplicate profile "tls13"; give one of them another name:
probe.yaml:12:35: ciphers are chosen for TLS 1.2 only, and the profile tls13 does not speak it; leave them out
probe.yaml:13:18: the profile "tls13" does not offer "h3", so no server can choose it; write one of: h2, http/1.1
probe.yaml:14:9: duplicate check stores; give each check its own name
probe.yaml:16:13: "a b" contains a space; write one name per entry
probe.yaml:18:12: the timeout 6s is longer than the interval 5s; write timeout: 5s or less
probe.yaml:21:28: Authorization holds a credential, and secrets are not allowed in this file; use auth: with kind: bearer, basic or headers
probe.yaml:23:34: a login sends secrets, and secrets need TLS; write https://
probe.yaml:23:74: secrets are not allowed in this file; use a reference: file:/path, env:NAME or credential:name
probe.yaml:24:10: write one of: token, capture
probe.yaml:26:22: unknown variable {hots}; none is defined
probe.yaml:26:48: unknown layer "bakend"; did you mean "backend"?
probe.yaml:27:12: duplicate step one, first defined on line 26
probe.yaml:27:23: unknown auth "clii"; did you mean "cli"?
probe.yaml:27:34: the step sends credentials, and secrets need TLS; write https://
probe.yaml:28:5: the step has no URL; write for example get: https://shop.example/
probe.yaml:28:30: write one of: json, header, cookie, regex
probe.yaml:28:44: the step's timeout 2m is longer than the flow_timeout 25s; write timeout: 25s or less
stores.yaml:1:27: write www.shop.example, not https://www.shop.example/
stores.yaml:1:56: the port of "shop.example:0" must be between 1 and 65535
stores.yaml:2:3: unknown key "label"; did you mean "labels"?
stores.yaml:3:12: expected a list, found text; put it in brackets
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(VALUES, WRONG_VALUES), (REFERENCES, WRONG_REFERENCES)],
    ids=["values", "references"],
)
def test_all_of_a_kind_are_found_at_once(problems: Problems, text: str, expected: str) -> None:
    found = problems(text, {"stores.yaml": STORES})
    assert found == expected.splitlines()
    assert len({line.split(": ", 1)[0] for line in found}) == len(found), "each at its own place"
    assert "hunter2" not in "".join(found)

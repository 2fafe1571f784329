# ruff: noqa: E501 - problems stand as they are printed, each on one line
"""A configuration with fifty mistakes of every kind: one look finds all fifty, none twice."""

from collections.abc import Callable

Problems = Callable[..., list[str]]

STORES = """\
- targets: [shop.example, "https://www.shop.example/", shop.example:0]
  label: {tier: gold}
- targets: outlet.example
"""

TEXT = """\
region: sa east
listen: 9469
limits: {concurrency: 0}
defaults: {interval: 15, timeout: 10 sec, profiles: [tls14]}
providers:
  live: {dns: {server: 192.0.2.53, families: [5], ttl_floor: 10m}}
  cdn-b: {hostname: https://stores.cdn-b.example}
  cdn-c: {addresses: [198.51.100.700, "2001:db8::7", "2001:db8::7"], dns: {}}
  cdn-d: {}
targets:
  stores: {files: [stores.yaml, store.yaml, stores.txt]}
checks:
- name: stores
  kind: tls
  targets: store
  providers: [live, cdn-x, live]
  intervall: 15s
  profiles: [tls13, {kind: tls13, ciphers: ECDHE}]
  expect: {fingerprints: aa, alpn: h3, ocsp: requird, not_before: yesterday}
  labels: {a-b: c}
- name: stores
  kind: tls
  targets: [a b]
  interval: 5s
  timeout: 6s
- name: c
  kind: tsl
- name: flow
  kind: api
  headers: {Authorization: Bearer hunter2}
  auth:
    cli: {kind: json_login, url: http://login.example/, json: {password: hunter2}, token: "t |"}
    key: {kind: bearer}
  steps:
  - {name: one, get: "https://{hots}/", layer: bakend, expect: {status: 99, matches: "("}}
  - {name: one, auth: clii, get: "http://x.example/"}
  - {name: two, capture: {t: {}}, timeout: 2m}
"""

EXPECTED = """\
probe.yaml:1:9: "sa east" cannot be a name; use letters, digits, dots, hyphens and underscores, 63 at most, starting with a letter or digit
probe.yaml:2:9: this must be text; write for example 127.0.0.1:9469
probe.yaml:3:23: must be at least 1
probe.yaml:4:22: a duration needs a unit; write 15s
probe.yaml:4:35: "10 sec" is not a duration; write 10s
probe.yaml:4:54: "tls14" means nothing here; did you mean "tls13"?
probe.yaml:6:16: unknown key "server"; did you mean "servers"?
probe.yaml:6:47: "5" means nothing here; write one of: 4, 6
probe.yaml:6:62: ttl_floor (10m) is longer than ttl_cap (5m); write a floor up to the cap
probe.yaml:7:21: write stores.cdn-b.example, not https://stores.cdn-b.example
probe.yaml:8:23: "198.51.100.700" is not an IP address; write for example 198.51.100.7, 198.51.100.7:8443, 2001:db8::7 or [2001:db8::7]:8443
probe.yaml:8:54: this stands already on line 8; remove one
probe.yaml:8:70: addresses are fixed and need no dns; write one of the two
probe.yaml:9:10: this provider does not say how edges are found; write dns: {}, or hostname:, or addresses:
probe.yaml:11:33: there is no file "store.yaml"; did you mean "stores.yaml"?
probe.yaml:11:45: "stores.txt" must end in .yaml, .yml or .json
probe.yaml:15:12: unknown target list "store"; did you mean "stores"?
probe.yaml:16:21: unknown provider "cdn-x"; did you mean "cdn-d"?
probe.yaml:16:28: the provider live is named twice; remove one
probe.yaml:17:3: unknown key "intervall"; did you mean "interval"?
probe.yaml:18:21: two profiles are named "tls13"; give one a name: of its own
probe.yaml:18:35: ciphers are chosen for TLS 1.2 only, and the profile tls13 does not speak it; leave them out
probe.yaml:19:26: a SHA-256 fingerprint has 64 digits; this has 2
probe.yaml:19:36: the profile "tls13" does not offer "h3", so no server can choose it; write one of: h2, http/1.1
probe.yaml:19:46: "requird" means nothing here; did you mean "require"?
probe.yaml:19:67: write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z
probe.yaml:20:12: "a-b" cannot be a label; use letters, digits and underscores
probe.yaml:21:9: two checks are named stores; names must differ
probe.yaml:23:13: "a b" has a space in it; write one name an entry
probe.yaml:25:12: the timeout 6s is longer than the interval 5s; write timeout: 5s or less
probe.yaml:27:9: "tsl" means nothing here; did you mean "tls"?
probe.yaml:30:28: Authorization holds a credential, and secrets never stand in this file; use auth: with kind: bearer, basic or headers
probe.yaml:32:34: a login sends secrets, and secrets go over TLS only; write https://
probe.yaml:32:74: a secret never stands in this file; write where it is found: file:/path, env:NAME or credential:name
probe.yaml:32:91: "t |" is not a whole JMESPath expression: it ends early
probe.yaml:33:10: bearer needs one of token: and capture:, and neither is there
probe.yaml:35:22: nothing gives {hots} a value; none is defined
probe.yaml:35:48: unknown layer "bakend"; did you mean "backend"?
probe.yaml:35:73: this is no HTTP status; write a code such as 200, or a class such as 2xx
probe.yaml:35:86: "(" is not a regular expression: missing ), unterminated subpattern at character 1
probe.yaml:36:12: the step one stands already on line 35
probe.yaml:36:23: unknown auth "clii"; did you mean "cli"?
probe.yaml:36:34: the step sends credentials, and secrets go over TLS only; write https://
probe.yaml:37:5: the step has no URL; write for example get: https://shop.example/
probe.yaml:37:30: a capture has one of json, header, cookie and regex, and none is there
probe.yaml:37:44: the step's timeout 2m is longer than the flow_timeout 25s; write timeout: 25s or less
stores.yaml:1:27: write www.shop.example, not https://www.shop.example/
stores.yaml:1:56: the port of "shop.example:0" must be between 1 and 65535
stores.yaml:2:3: unknown key "label"; did you mean "labels"?
stores.yaml:3:12: expected a list, found text; put it in brackets
"""


def test_all_fifty_are_found_at_once(problems: Problems) -> None:
    found = problems(TEXT, {"stores.yaml": STORES})
    assert found == EXPECTED.splitlines()
    assert len(found) == 50
    assert len({line.split(": ", 1)[0] for line in found}) == 50, "each at a place of its own"
    assert "hunter2" not in "".join(found)

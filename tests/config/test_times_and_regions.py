"""Intervals and time-outs fit into each other; the region comes from where it should."""

from collections.abc import Callable

import pytest

from probe.documents.problem import DocumentError
from probe.model.spec import Limits, Listen, Spec

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

TLS = "checks:\n- name: a\n  kind: tls\n  targets: [shop.example]\n"
API = "checks:\n- name: a\n  kind: api\n  steps: [{name: s, get: https://x.example/{more}}]\n"


def lines(*written: str) -> str:
    return "".join(f"  {line}\n" for line in written)


TAKEN = "address already used by listen:; write page: same, or another port"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("page: 127.0.0.1:9469\n", f"1:7: {TAKEN}"),
        ("listen: 0.0.0.0:80\npage: 127.0.0.1:80\n", f"2:7: {TAKEN}"),
        ("listen: 127.0.0.1:80\npage: '[::]:80'\n", f"2:7: {TAKEN}"),
        ("listen: 127.0.0.1:80\npage: 127.0.0.1:81\n", None),
        ("listen: 127.0.0.1:80\npage: 127.0.0.2:80\n", None),
        ("listen: 127.0.0.1:0\npage: 127.0.0.1:0\n", None),
        ("page: same\n", None),
    ],
)
def test_the_page_has_an_address_of_its_own(
    problems: Problems, text: str, expected: str | None
) -> None:
    assert problems(text + TLS) == ([f"probe.yaml:{expected}"] if expected else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            TLS + lines("timeout: 40s"),
            "5:12: the timeout 40s is longer than the interval 30s (the default); "
            "write timeout: 30s or less",
        ),
        (
            TLS + lines("interval: 5s", "timeout: 6s"),
            "6:12: the timeout 6s is longer than the interval 5s; write timeout: 5s or less",
        ),
        (
            "defaults: {timeout: 10s}\n" + TLS + lines("interval: 5s"),
            "6:13: the timeout 10s of defaults is longer than the interval 5s; "
            "write timeout: 5s or less",
        ),
        (
            "defaults: {interval: 5s}\n" + TLS + lines("timeout: 10s"),
            "6:12: the timeout 10s is longer than the interval 5s of defaults; "
            "write timeout: 5s or less",
        ),
        (
            "defaults: {interval: 5s, timeout: 10s}\n" + TLS,
            "3:9: the timeout 10s of defaults is longer than the interval 5s of defaults; "
            "write timeout: 5s or less",
        ),
        (
            API.replace("{more}", "") + lines("flow_timeout: 40s"),
            "5:17: the flow_timeout 40s is longer than the interval 30s (the default); "
            "write flow_timeout: 30s or less",
        ),
        (
            API.replace("{more}", "") + lines("flow_timeout: 5s", "timeout: 6s"),
            "6:12: the timeout 6s is longer than the flow_timeout 5s; write timeout: 5s or less",
        ),
        (
            API.replace("{more}", "") + lines("timeout: 31s"),
            "5:12: the timeout 31s is longer than the interval 30s (the default); "
            "write timeout: 30s or less",
        ),
        (
            API.replace("{more}", ", timeout: 26s"),
            "4:55: the step's timeout 26s is longer than the flow_timeout 25s; "
            "write timeout: 25s or less",
        ),
        (TLS + lines("interval: 15"), "5:13: a duration needs a unit; write 15s"),
        (TLS + lines("interval: 15 sec"), '5:13: "15 sec" is not a duration; write 15s'),
        (TLS + lines("interval: 999ms"), "5:13: must be between 1s and 1d; found 999ms"),
        (TLS + lines("timeout: 0"), "5:12: must be between 50ms and 10m; found 0s"),
    ],
)
def test_times_that_do_not_fit(problems: Problems, text: str, expected: str) -> None:
    assert problems(text) == [f"probe.yaml:{expected}"]


@pytest.mark.parametrize(
    ("text", "interval", "timeout", "flow_timeout"),
    [
        (TLS, 30.0, 10.0, None),
        (TLS + lines("interval: 5s"), 5.0, 5.0, None),
        (API.replace("{more}", ""), 30.0, 10.0, 25.0),
        (API.replace("{more}", "") + lines("interval: 5s"), 5.0, 5.0, 5.0),
        (API.replace("{more}", "") + lines("flow_timeout: 8s"), 30.0, 8.0, 8.0),
        (API.replace("{more}", "") + lines("timeout: 30s"), 30.0, 30.0, 30.0),
        ("defaults: {flow_timeout: 20s}\n" + API.replace("{more}", ""), 30.0, 10.0, 20.0),
    ],
)
def test_what_nobody_wrote_is_made_to_fit(
    loaded: Loader, text: str, interval: float, timeout: float, flow_timeout: float | None
) -> None:
    (check,) = loaded(text).checks
    assert (check.interval, check.timeout) == (interval, timeout)
    assert getattr(check, "flow_timeout", None) == flow_timeout


# ---------------------------------------------------------------- region, listen, limits


@pytest.mark.parametrize(
    ("option", "variable", "written", "expected"),
    [
        (None, None, None, None),
        (None, None, "auto", None),
        (None, None, "eu-west", "eu-west"),
        (None, "us-east", "eu-west", "us-east"),
        (None, "us-east", "auto", "us-east"),
        ("sa-east", "us-east", "eu-west", "sa-east"),
        ("auto", "us-east", "eu-west", "us-east"),
        ("auto", "auto", "auto", None),
        (None, "", "eu-west", "eu-west"),
    ],
)
def test_the_region_comes_from_option_variable_file(
    loaded: Loader,
    option: str | None,
    variable: str | None,
    written: str | None,
    expected: str | None,
) -> None:
    text = f"region: {written}\n{TLS}" if written else TLS
    environ = {} if variable is None else {"PROBE_REGION": variable}
    assert loaded(text, region=option, environ=environ).region == expected


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        ("a b", None, '--region is "a b", which is not a valid name'),
        (None, "a\nb", 'PROBE_REGION is "a\\nb", which is not a valid name'),
    ],
)
def test_a_region_that_cannot_be_a_label_says_where_it_comes_from(
    loaded: Loader, option: str | None, variable: str | None, expected: str
) -> None:
    environ = {} if variable is None else {"PROBE_REGION": variable}
    with pytest.raises(DocumentError) as raised:
        loaded(TLS, region=option, environ=environ)
    assert str(raised.value) == f"probe.yaml:1:1: {expected}"


@pytest.mark.parametrize(
    ("written", "listen"),
    [
        ("127.0.0.1:9469", Listen("127.0.0.1", 9469)),
        ("0.0.0.0:0", Listen("0.0.0.0", 0)),  # noqa: S104 - read, not listened on
        ("localhost:80", Listen("localhost", 80)),
        ("'[::1]:9469'", Listen("::1", 9469)),
    ],
)
def test_listen(loaded: Loader, written: str, listen: Listen) -> None:
    assert loaded(f"listen: {written}\n{TLS}").listen == listen


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("9469", "this must be text; write for example 127.0.0.1:9469"),
        ("127.0.0.1", '"127.0.0.1" has no port; write for example 127.0.0.1:9469'),
        ("'::1'", '"::1" has no port; write for example 127.0.0.1:9469'),
        ("'::1:9469'", '"::1:9469" has no port; write for example 127.0.0.1:9469'),
        (
            "':9469'",
            "write 127.0.0.1:9469 for this host only, 0.0.0.0:9469 for every network",
        ),
        ("host:1", '"host" is not an address; write for example 127.0.0.1:1'),
        ("'127.0.0.1:99999'", "the port must be between 0 and 65535; 0 lets the system choose"),
        ("'127.0.0.1:²'", '"127.0.0.1:²" has no port; write for example 127.0.0.1:9469'),
    ],
)
def test_what_cannot_be_listened_on(problems: Problems, written: str, message: str) -> None:
    assert problems(f"listen: {written}\n{TLS}") == [f"probe.yaml:1:9: {message}"]


def test_limits_and_the_rest_of_the_file(loaded: Loader) -> None:
    text = f"limits: {{concurrency: 10, lag_bound: 50ms}}\nstate_dir: state\n{TLS}"
    spec = loaded(text)
    assert spec.limits == Limits(concurrency=10, lag_bound=0.05)
    assert spec.state_dir is not None
    assert spec.state_dir.endswith("/state")
    assert spec.state_dir.startswith("/")
    assert spec.source == "probe.yaml"
    assert len(spec.digest) == 64
    assert loaded(text + "\n").digest != spec.digest
    assert loaded(TLS).limits == Limits()

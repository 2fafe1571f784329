"""Names and URLs on a command line become checks."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from probe.config.command_line import Asked, CommandLineProblem, spec_of
from probe.model.flow import ApiCheck, Step
from probe.model.spec import LIVE, Spec, TlsCheck


def spec(*names: str, **more: object) -> Spec:
    return spec_of(Asked(names, **more), region=None, environ={})  # type: ignore[arg-type]


def labels(made: Spec, check: str) -> list[str]:
    (one,) = [one for one in made.checks if one.name == check]
    assert one.targets is not None
    return [target.label for target in made.targets[one.targets].static]


def test_names_are_shaken_hands_with_at_the_edges_that_dns_gives() -> None:
    made = spec("Shop.Example.", "other.example:8443", "shop.example")
    (check,) = made.checks
    assert (check.name, check.providers) == ("tls", (LIVE,))
    assert labels(made, "tls") == ["shop.example", "other.example:8443"]


def test_a_url_is_got_and_its_host_shaken_hands_with() -> None:
    made = spec("https://api.example/health?deep={yes}", "http://plain.example:8080")
    assert labels(made, "tls") == ["api.example"]
    assert labels(made, "url-1") == ["api.example"]
    assert labels(made, "url-2") == ["plain.example:8080"]
    calls = [check for check in made.checks if isinstance(check, ApiCheck)]
    steps = [step for check in calls for step in check.steps]
    urls = [step.request.url for step in steps if isinstance(step, Step)]
    assert urls == ["https://{target}/health?deep={{yes}}", "http://{target}/"]


def test_urls_that_differ_in_the_host_alone_are_one_check() -> None:
    made = spec("https://a.example/x", "https://b.example/x")
    assert [check.name for check in made.checks] == ["tls", "url"]
    assert labels(made, "url") == ["a.example", "b.example"]


def test_addresses_replace_dns_and_the_rest_is_passed_on(tmp_path: Path) -> None:
    roots = tmp_path / "root.pem"
    roots.write_text(Path(certifi.where()).read_text())
    made = spec(
        "shop.example",
        addresses=("198.51.100.7", "[2001:db8::1]:8443"),
        profiles=("tls13",),
        trust_file=str(roots),
        sni="other.example",
        timeout="3s",
    )
    (check,) = made.checks
    assert made.providers["given"].addresses == (("198.51.100.7", None), ("2001:db8::1", 8443))
    assert isinstance(check, TlsCheck)
    assert check.sni == "other.example"
    assert check.timeout == 3.0


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (["shop..example"], {}, "empty part between two dots"),
        (["ftp://shop.example"], {}, "is not an http or https URL"),
        (["https://[x/"], {}, "is not a URL"),
        (["https://shop.example:99999/"], {}, "is not a URL"),
        (["https://user:s3cr3t-1@shop.example/"], {}, "everyone on the host can read it"),
        (["shop.example"], {"addresses": ["shop.example"]}, "--address"),
        (["shop.example"], {"profiles": ["netscape"]}, 'unknown value "netscape"'),
        (["shop.example"], {"trust_file": "nowhere.pem"}, "there is no file nowhere.pem"),
        (["shop.example"], {"sni": "a b"}, "a b"),
    ],
)
def test_what_cannot_be_probed_is_said_without_a_place(
    names: list[str], more: dict[str, object], said: str
) -> None:
    with pytest.raises(CommandLineProblem) as caught:
        spec(*names, **more)
    assert said in str(caught.value)
    assert "s3cr3t-1" not in str(caught.value)

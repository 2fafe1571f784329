"""Target lists: from the file itself, from other files, from URLs; every bad entry has a place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probe.config.loading import load, validate
from probe.documents.problem import DocumentError
from probe.documents.targets import load_targets
from probe.model.secret import SecretRef
from probe.model.spec import FileSource, HttpSource, Spec, TargetList
from probe.model.target import Target

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

TEXT = "checks: [{{name: a, kind: tls, targets: t}}]\ntargets:\n  t: {}\n"
NO_SOURCE = "this list has no source of targets; write static:, files: or http: entries"
GOOD = {"targets/stores.yaml": "- targets: [shop.example]\n"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{}", [f"3:6: {NO_SOURCE}"]),
        ("[]", [f"3:6: {NO_SOURCE}"]),
        ("{refresh: 5s}", [f"3:6: {NO_SOURCE}"]),
        (
            "[shop.example, Shop.Example.]",
            ['3:21: duplicate target "Shop.Example.", first defined at probe.yaml:3'],
        ),
        ("[shop.example, 'shop.example:443']", []),
        (
            "['https://shop.example/', '', '*.shop.example']",
            [
                "3:7: write shop.example, not https://shop.example/",
                "3:32: the name is empty; write for example shop.example",
                '3:36: "*.shop.example" is a pattern, and only names can be probed; '
                "write a name, for example www.shop.example",
            ],
        ),
        (
            "{static: [{labels: {x: y}}, {labels: {x: y}, targets: []}, {targets: a.example}]}",
            [
                '3:16: "targets" is missing; '
                "write for example targets: [shop.example, www.shop.example:8443]",
            ],
        ),
        (
            "{files: [targets/store.yaml]}",
            ['3:15: there is no file "targets/store.yaml"; did you mean "targets/stores.yaml"?'],
        ),
        (
            "{files: nothing.yaml}",
            ['3:14: there is no file "nothing.yaml"; paths are relative to the configuration file'],
        ),
        (
            "{files: [nofolder/x.yaml]}",
            [
                '3:15: there is no file "nofolder/x.yaml", nor its folder; '
                "paths are relative to the configuration file"
            ],
        ),
        ("{files: [stores.txt]}", ['3:15: "stores.txt" must end in .yaml, .yml or .json']),
        ("{files: ['targets/*.yaml']}", []),
        ("{files: ['targets/*.json']}", []),
        (
            "{files: ['t*/stores.yaml']}",
            ["3:15: a glob is allowed in the last part of the path only"],
        ),
        (
            "{files: ['nofolder/*.yaml']}",
            ['3:15: the folder "nofolder" cannot be read: No such file or directory'],
        ),
        ("{files: ['']}", ["3:15: not a valid path; write for example targets/stores.yaml"]),
        (
            '{files: ["a\\0.yaml"]}',
            ["3:15: not a valid path; write for example targets/stores.yaml"],
        ),
        (
            "{http: 'ftp://sd.example/'}",
            ["3:13: a URL must start with https:// or http://, not ftp://"],
        ),
        (
            "{http: [{url: 'http://sd.example/', authorization: env:SD}]}",
            ["3:20: authorization: sends a secret, and secrets need TLS; write https://"],
        ),
        (
            "{http: [{url: 'https://u:hunter2@sd.example/'}]}",
            ["3:20: a URL must contain no user or password; use authorization: instead"],
        ),
        (
            "{http: [{url: 'https://sd.example/', authorization: hunter2}]}",
            [
                "3:58: secrets are not allowed in this file; use a reference: "
                "file:/path, env:NAME or credential:name",
            ],
        ),
        (
            "{http: [{}]}",
            ['3:14: "url" is missing; write for example url: https://inventory.example/targets'],
        ),
        ("{refresh: 0s, static: [a.example]}", ["3:16: must be between 1s and 1d; found 0s"]),
    ],
)
def test_what_is_wrong_with_a_list(problems: Problems, written: str, expected: list[str]) -> None:
    assert problems(TEXT.format(written), GOOD) == [f"probe.yaml:{line}" for line in expected]


def test_a_list_comes_out_whole(loaded: Loader, tmp_path: Path) -> None:
    written = (
        "{static: [shop.example, {targets: ['Outlet.example:8443'], labels: {tier: 1}}], "
        "files: [targets/stores.yaml, 'targets/*.json'], refresh: 1m, "
        "http: ['http://a.example/', {url: 'https://b.example/', authorization: file:sd, "
        "timeout: 3s}]}"
    )
    spec = loaded(TEXT.format(written), GOOD | {"targets/stores.yaml": "- targets: [c.example]"})
    assert spec.targets["t"] == TargetList(
        name="t",
        static=(
            Target("shop.example", written=True),
            Target("outlet.example", 8443, {"tier": "1"}, written=True),
        ),
        files=(
            FileSource(str(tmp_path / "targets/stores.yaml")),
            FileSource(str(tmp_path / "targets/*.json")),
        ),
        http=(
            HttpSource("http://a.example/"),
            HttpSource("https://b.example/", SecretRef("file", str(tmp_path / "sd")), 3.0),
        ),
        refresh=60.0,
    )


def test_a_link_to_a_target_file_is_not_followed_into_the_spec(
    loaded: Loader, tmp_path: Path
) -> None:
    """Mounted ConfigMaps are swapped by changing a link: the link's own path must stay."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.yaml").write_text("- targets: [a.example]")
    (tmp_path / "t.yaml").symlink_to("data/t.yaml")
    assert loaded(TEXT.format("{files: t.yaml}")).targets["t"].files == (
        FileSource(str(tmp_path / "t.yaml")),
    )


def test_a_check_may_bring_its_own_targets(loaded: Loader) -> None:
    spec = loaded("checks: [{name: a, kind: tls, targets: [shop.example, 192.0.2.7]}]")
    assert spec.checks[0].targets == "inline:a"
    assert spec.targets["inline:a"].static == (
        Target("shop.example", written=True),
        Target("192.0.2.7", written=True),
    )


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("store", 'unknown target list "store"; did you mean "stores"?'),
        ("zzz", 'unknown target list "zzz"; write one of: stores'),
        (
            "{named: stores, static: [a.example]}",
            "the name of a list and its sources cannot be used together; write one of them",
        ),
    ],
)
def test_a_check_names_a_list_that_exists(problems: Problems, targets: str, expected: str) -> None:
    text = (
        f"targets: {{stores: [a.example]}}\nchecks:\n- {{name: a, kind: tls, targets: {targets}}}"
    )
    assert problems(text) == [f"probe.yaml:3:33: {expected}"]


def test_a_name_that_could_be_a_target_says_how_to_write_one(problems: Problems) -> None:
    assert problems("checks: [{name: a, kind: tls, targets: shop.example}]") == [
        'probe.yaml:1:40: unknown target list "shop.example"; none is defined; '
        "write targets: [shop.example] if it is a target itself"
    ]


def test_targets_repeated_across_sources_are_noted(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("- targets: [b.example]")
    (tmp_path / "u.yaml").write_text("- targets: [a.example, b.example, b.example]")
    path = tmp_path / "probe.yaml"
    path.write_text("region: lab\n" + TEXT.format("{static: [a.example], files: [t.yaml, u.yaml]}"))
    _, notes = validate(path, environ={})
    assert [str(note).removeprefix(f"{tmp_path}/") for note in notes] == [
        f'u.yaml:1:13: duplicate target "a.example", first defined at {path}:4',
        f'u.yaml:1:24: duplicate target "b.example", first defined at {tmp_path}/t.yaml:1',
        f'u.yaml:1:35: duplicate target "b.example", first defined at {tmp_path}/t.yaml:1',
    ]


def test_a_list_beyond_its_limit_is_a_problem_to_validate_and_none_to_an_agent(
    tmp_path: Path,
) -> None:
    path = tmp_path / "probe.yaml"
    listed = "{files: [stores.yaml], static: [a.example], max_targets: 2, shrink_hold: 1h}"
    path.write_text(TEXT.format(listed))
    (tmp_path / "stores.yaml").write_text("- targets: [b.example, c.example]\n")
    with pytest.raises(DocumentError) as refused:
        validate(path, environ={})
    assert str(refused.value) == (
        f"{path}:3:63: the list t has 3 targets; only the first 2 are probed; "
        "raise max_targets: or split the list"
    )
    stores = load(path, environ={}).targets["t"]
    assert (stores.max_targets, stores.shrink_hold) == (2, 3600.0)


def test_an_agent_starts_whatever_its_lists_hold(tmp_path: Path) -> None:
    """Files are discovery's: one that is missing or broken must not keep an agent down."""
    (tmp_path / "broken.yaml").write_text("- targets: [a.example")
    path = tmp_path / "probe.yaml"
    path.write_text(TEXT.format("{files: [missing.yaml, broken.yaml, 'nofolder/*.yaml']}"))
    assert len(load(path, environ={}).targets["t"].files) == 3
    with pytest.raises(DocumentError) as raised:
        validate(path, environ={})
    assert len(raised.value.problems) == 3


def test_an_agent_starts_though_no_target_has_a_label_that_a_step_names(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("- targets: [a.example]\n  labels: {__meta_tier: x}\n")
    path = tmp_path / "probe.yaml"
    path.write_text(
        "checks: [{name: f, kind: api, targets: {files: t.yaml}, steps: "
        "[{name: s, get: 'https://{target}/{labels.__meta_tier}'}]}]"
    )
    load(path, environ={})
    with pytest.raises(DocumentError, match="__meta_tier"):  # nor does a running agent know it
        validate(path, environ={})


def test_paths_are_relative_to_the_configuration_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "targets").mkdir(parents=True)
    (folder / "targets" / "t.yaml").write_text("- targets: [b a]")
    (folder / "probe.yaml").write_text(TEXT.format("{files: targets/t.yaml}"))
    with pytest.raises(DocumentError) as raised:
        validate(folder / "probe.yaml", environ={})
    assert raised.value.problems[0].file == f"{folder}/targets/t.yaml"


def test_a_target_file_can_be_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text("- targets: [B.example, 'a.example:444']\n  labels: {version: 1.10, on: yes}\n")
    targets = load_targets(path)
    labels = {"version": "1.10", "on": "yes"}  # as written
    assert targets == (Target("b.example", None, labels), Target("a.example", 444, labels))
    path.write_text("- targets: [b example]")
    with pytest.raises(DocumentError, match='"b example" contains a space'):
        load_targets(path)
    with pytest.raises(DocumentError, match="there is no such file"):
        load_targets(tmp_path / "none.yaml")


def test_a_file_that_two_entries_give_is_read_once(problems: Problems) -> None:
    text = TEXT.format("{files: ['*.json', t.json]}")
    assert problems(text, {"t.json": '[{"targets": ["a.example"]}]'}) == []

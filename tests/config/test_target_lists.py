"""Target lists: from the file itself, from other files, from URLs; every bad entry has a place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probe.config import ConfigError, load, load_targets
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
            ['3:21: the target "Shop.Example." stands already at probe.yaml:3; remove one'],
        ),
        ("[shop.example, 'shop.example:443']", []),
        (
            "['https://shop.example/', '', '*.shop.example']",
            [
                "3:7: write shop.example, not https://shop.example/",
                "3:32: the name is empty; write a name such as shop.example",
                '3:36: "*.shop.example" is a pattern, and only names can be probed; '
                "write one, such as www.shop.example",
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
        ("{files: ['']}", ["3:15: this is no path; write one such as targets/stores.yaml"]),
        (
            '{files: ["a\\0.yaml"]}',
            ["3:15: this is no path; write one such as targets/stores.yaml"],
        ),
        (
            "{http: 'ftp://sd.example/'}",
            ["3:13: this is no URL; write for example https://inventory.example/targets"],
        ),
        (
            "{http: [{url: 'http://sd.example/', authorization: env:SD}]}",
            ["3:20: a secret goes to https:// URLs only; write https://"],
        ),
        (
            "{http: [{url: 'https://u:hunter2@sd.example/', authorization: hunter2}]}",
            [
                "3:20: a URL must hold no user or password; use authorization: instead",
                "3:68: a secret never stands in this file; write where it is found: "
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
        static=(Target("shop.example"), Target("outlet.example", 8443, {"tier": "1"})),
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
    assert spec.targets["inline:a"].static == (Target("shop.example"), Target("192.0.2.7"))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("store", 'unknown target list "store"; did you mean "stores"?'),
        ("zzz", 'unknown target list "zzz"; write one of: stores'),
        (
            "{named: stores, static: [a.example]}",
            "name a list, or write its sources here; write one of the two",
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


# ---------------------------------------------------------------- target files


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["1:1: the file is empty; write [] for a list without targets"]),
        (" \n", ["1:1: the file is empty; write [] for a list without targets"]),
        ("[]", []),
        ("- targets: [a.example]\n  labels:\n", []),
        ('[{"targets": ["a.example"], "labels": {"__meta_x": "1"}}]', []),
        (
            "targets: [a.example]",
            ["1:1: expected a list of groups, found a mapping; write - targets: [shop.example]"],
        ),
        ("- a.example", ["1:3: expected a group, found text; write - targets: [shop.example]"]),
        (
            "- target: [a.example]",
            [
                '1:3: "targets" is missing; write for example targets: [shop.example]',
                '1:3: unknown key "target"; did you mean "targets"?',
            ],
        ),
        ("- targets: a.example", ["1:12: expected a list, found text; put it in brackets"]),
        (
            "- targets: [5, [x], a.example, 'b c', 'https://d.example/']",
            [
                "1:13: expected a name, found a number",
                "1:16: expected a name, found a list",
                '1:32: "b c" has a space in it; write one name an entry',
                "1:39: write d.example, not https://d.example/",
            ],
        ),
        (
            "- targets: [a.example]\n- targets:\n  - A.example\n",
            ['3:5: the target "A.example" stands already at t.yaml:1; remove one'],
        ),
        (
            "- targets: [a.example]\n  labels: [x]\n",
            ["2:11: expected a mapping of labels, found a list"],
        ),
        (
            "- targets: [a.example]\n  labels: {a-b: x, c: [d]}\n",
            [
                '2:12: "a-b" cannot be a label; use letters, digits and underscores',
                "2:23: expected text, found a list",
            ],
        ),
        (
            "- targets: [a.example]\n  targets: [b.example]\n",
            ['2:3: the key "targets" stands already on line 1'],
        ),
        (
            "- targets: [a.example\n",
            ["1:12: the list in [ ] has no end; write , between entries and ] after the last"],
        ),
    ],
)
def test_a_bad_target_file_has_problems_of_its_own(
    problems: Problems, content: str, expected: list[str]
) -> None:
    assert problems(TEXT.format("{files: t.yaml}"), {"t.yaml": content}) == [
        f"t.yaml:{line}" for line in expected
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["1:1: the file is empty; write [] for a list without targets"]),
        ("[]", []),
        ('[\n\t{\t"targets": ["a.example"]}\n]', []),
        ('[{"targets": ["a.example"], "labels": {"a": "\\ud83d\\ude00\\/\\\\ud83d"}}]', []),
        ("- targets: [a.example]", ["1:1: not valid JSON: expecting value"]),
        ('[{"targets": ["a.example",]}]', ["1:27: not valid JSON: expecting value"]),
        ('[{"targets": ["a.example"]}', ["1:28: not valid JSON: expecting ',' delimiter"]),
        ("[" * 100_000, ["1:1: more than 40 levels inside each other"]),
        (
            '[{"targets": ["a.example"]},\n\t{"targets": ["b c"]}]',
            ['2:15: "b c" has a space in it; write one name an entry'],
        ),
        ('[{"targets": [], "targets": []}]', ['1:18: the key "targets" stands already on line 1']),
    ],
)
def test_a_json_file_is_held_to_the_rules_of_json(
    problems: Problems, content: str, expected: list[str]
) -> None:
    assert problems(TEXT.format("{files: t.json}"), {"t.json": content}) == [
        f"t.json:{line}" for line in expected
    ]


def test_characters_beyond_the_first_plane_come_out_of_json(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('[{"targets": ["a.example"], "labels": {"a": "\\ud83d\\ude00 \\\\ud83d"}}]')
    (target,) = load_targets(path)
    assert target.labels == {"a": "\U0001f600 \\ud83d"}


def test_a_target_file_that_is_not_utf_8_says_where(problems: Problems) -> None:
    found = problems(TEXT.format("{files: t.yaml}"), {"t.yaml": b"- targets: [caf\xe9.example]"})
    assert found == ["t.yaml:1:16: byte 0xe9 is not UTF-8; save the file as UTF-8"]


def test_a_folder_as_a_target_file_says_so(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").mkdir()
    assert problems(TEXT.format("{files: t.yaml}")) == [
        "t.yaml:1:1: this is a directory; name the YAML file itself"
    ]


def test_targets_repeated_across_sources_are_found(problems: Problems) -> None:
    text = TEXT.format("{static: [a.example], files: [t.yaml, u.yaml]}")
    files = {"t.yaml": "- targets: [b.example]", "u.yaml": "- targets: [a.example, b.example]"}
    assert problems(text, files) == [
        'u.yaml:1:13: the target "a.example" stands already at probe.yaml:3; remove one',
        'u.yaml:1:24: the target "b.example" stands already at t.yaml:1; remove one',
    ]


def test_paths_are_relative_to_the_configuration_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "targets").mkdir(parents=True)
    (folder / "targets" / "t.yaml").write_text("- targets: [b a]")
    (folder / "probe.yaml").write_text(TEXT.format("{files: targets/t.yaml}"))
    with pytest.raises(ConfigError) as raised:
        load(folder / "probe.yaml", environ={})
    assert raised.value.problems[0].file == f"{folder}/targets/t.yaml"


def test_a_target_file_can_be_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text("- targets: [B.example, 'a.example:444']\n  labels: {version: 1.10, on: yes}\n")
    targets = load_targets(path)
    labels = {"version": "1.10", "on": "yes"}  # as written
    assert targets == (Target("b.example", None, labels), Target("a.example", 444, labels))
    path.write_text("- targets: [b example]")
    with pytest.raises(ConfigError, match='"b example" has a space in it'):
        load_targets(path)
    with pytest.raises(ConfigError, match="there is no such file"):
        load_targets(tmp_path / "none.yaml")


def test_a_file_that_two_entries_give_is_read_once(problems: Problems) -> None:
    text = TEXT.format("{files: ['*.json', t.json]}")
    assert problems(text, {"t.json": '[{"targets": ["a.example"]}]'}) == []

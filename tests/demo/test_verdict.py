from __future__ import annotations

from dataclasses import replace

import pytest

from probe.demo.eyes import read
from probe.demo.picture import alarm_lines, because_line, found_line, in_words, summary_line
from probe.demo.report import report
from probe.demo.verdict import UNNAMED, Incident, Seen, Watch, false_alarms

PROPAGATION = Incident(
    name="tls-propagation",
    checks=frozenset({"stores", "next-batch"}),
    regions=frozenset({"sa-east"}),
    provider="cdn-b",
    edges=frozenset({"127.20.2.1:443", "127.20.2.2:443"}),
    targets=frozenset({"a.example", "b.example"}),
    layer="edge",
    reasons=frozenset({"alert_unrecognized_name"}),
)
AUTHORIZATION = Incident(
    name="cli-authorization",
    checks=frozenset({"developer-cli"}),
    regions=frozenset({"sa-east", "us-east"}),
    provider="api",
    edges=frozenset(),
    targets=frozenset({"developer-cli"}),
    layer="authorization",
    reasons=frozenset({"status"}),
)
RIGHT = Seen(
    "sa-east",
    "next-batch",
    "cdn-b",
    "a.example",
    "127.20.2.1:443",
    "edge",
    "alert_unrecognized_name",
)
BLAMED = Seen("us-east", "developer-cli", "api", "developer-cli", "", "authorization", "status")


@pytest.mark.parametrize(
    "wrong",
    [
        replace(RIGHT, region="eu-west"),
        replace(RIGHT, target="c.example"),
        replace(RIGHT, edge="127.20.2.3:443"),
        replace(RIGHT, edge=""),
        replace(RIGHT, reason="timeout"),
        replace(RIGHT, layer="resolve"),
        replace(RIGHT, check="other"),
        replace(BLAMED, layer="login"),
    ],
    ids=lambda seen: f"{seen.region}-{seen.target}-{seen.edge}-{seen.layer}-{seen.reason}",
)
def test_whatever_is_wrong_detects_nothing_and_is_a_false_alarm(wrong: Seen) -> None:
    watches = [Watch(PROPAGATION, fault_at=100.0), Watch(AUTHORIZATION, fault_at=100.0)]
    for watch in watches:
        watch.look([wrong], 110.0)
        assert watch.detected_at is None
    assert false_alarms([wrong], watches) == (wrong,)


def test_the_right_words_detect_and_the_first_moment_counts() -> None:
    watch = Watch(PROPAGATION, fault_at=100.0)
    watch.look([], 105.0)
    watch.look([RIGHT], 107.5)
    watch.look([RIGHT], 109.0)
    assert watch.seconds == 7.5
    assert watch.region == "sa-east"
    assert not false_alarms([RIGHT], [watch])


def test_the_same_fault_through_another_provider_is_explained_but_does_not_name_it() -> None:
    watch = Watch(PROPAGATION, fault_at=100.0)
    through_live = replace(RIGHT, provider="live", check="stores")
    watch.look([through_live], 107.0)
    assert watch.detected_at is None
    assert not false_alarms([through_live], [watch])


def test_before_the_fault_even_the_right_words_are_a_false_alarm() -> None:
    watch = Watch(PROPAGATION)
    watch.look([RIGHT], 90.0)
    assert watch.detected_at is None
    assert false_alarms([RIGHT], [watch]) == (RIGHT,)


def test_a_flow_whose_layer_is_not_named_is_no_detection_and_no_false_alarm() -> None:
    watch = Watch(AUTHORIZATION, fault_at=100.0)
    unnamed = replace(BLAMED, layer=UNNAMED)
    watch.look([unnamed], 103.0)
    assert watch.detected_at is None
    assert not false_alarms([unnamed], [watch])
    watch.look([BLAMED], 104.0)
    assert watch.seconds == 4.0


def test_recovery_is_the_first_silence_after_the_repair() -> None:
    watch = Watch(PROPAGATION, fault_at=100.0)
    watch.look([RIGHT], 107.0)
    watch.look([], 108.0)  # an edge may pass for a while: the fault is still there
    assert not watch.over
    watch.repaired_at = 110.0
    watch.look([RIGHT], 112.0)
    assert not watch.over
    watch.look([], 118.0)
    watch.look([], 119.0)
    assert watch.recovered_at == 118.0
    assert watch.over


def test_an_incident_is_whole_when_every_edge_and_target_was_named() -> None:
    watch = Watch(PROPAGATION, fault_at=100.0)
    watch.look([RIGHT], 107.0)
    assert not watch.whole
    watch.look([replace(RIGHT, edge="127.20.2.2:443", target="b.example")], 108.0)
    assert watch.whole


def test_the_report_has_the_promised_keys_and_nulls_for_what_was_not_found() -> None:
    found = Watch(PROPAGATION, fault_at=100.0)
    found.look([replace(RIGHT, because="it lacks the certificate")], 107.04)
    first, second = report([found, Watch(AUTHORIZATION)])["incidents"]
    assert first == {
        "name": "tls-propagation",
        "fault_at": "1970-01-01T00:01:40.000Z",
        "detected_at": "1970-01-01T00:01:47.040Z",
        "seconds_to_detect": 7.0,
        "region": "sa-east",
        "provider": "cdn-b",
        "edges": ["127.20.2.1:443"],
        "targets": ["a.example"],
        "layer": "edge",
        "reason": "alert_unrecognized_name",
        "because": "it lacks the certificate",
    }
    assert second["name"] == "cli-authorization"
    assert second["edges"] == second["targets"] == []
    assert {second[key] for key in first.keys() - {"name", "edges", "targets"}} == {None}


def test_the_sentence_is_the_one_that_most_give_and_comes_when_it_is_known() -> None:
    watch = Watch(PROPAGATION, fault_at=100.0)
    watch.look([RIGHT], 107.0)
    assert watch.because == ""
    wrong = replace(RIGHT, provider="live", because="elsewhere")
    both = [replace(RIGHT, target=name, because="lacks it") for name in ("a.example", "b.example")]
    watch.look([replace(RIGHT, edge="127.20.2.2:443", because="else"), wrong, *both], 108.0)
    assert because_line(watch) == "BECAUSE tls-propagation: lacks it"
    watch.repaired_at = 110.0
    watch.look([replace(RIGHT, because="too late")], 111.0)
    assert watch.because == "lacks it"
    assert len(watch.named) == 3, "a sentence makes no other finding of one"


def test_a_status_document_has_the_sentences_of_edges_and_of_flows() -> None:
    edge = {
        "check": "next-batch",
        "provider": "cdn-b",
        "target": "a.example",
        "edge": "127.20.2.1:443",
        "state": "failing",
        "reason": "timeout",
        "because": "it is down",
    }
    flow = {**edge, "state": "flapping", "layer": "authorization", "why": "the control passes"}
    names = [{**edge, "edges": 0}]
    found = list(read({"edges": [edge], "flows": [flow], "names": names}, "sa-east"))
    assert [one.because for one in found] == ["it is down", "the control passes", ""]


def test_words_group_what_is_seen_by_provider_and_reason() -> None:
    seen = [RIGHT, replace(RIGHT, target="b.example"), BLAMED]
    assert in_words(seen) == [
        "developer-cli through api: authorization layer (status)",
        "cdn-b: 2 domains on 127.20.2.1:443: alert_unrecognized_name",
    ]
    (line,) = alarm_lines([RIGHT, replace(RIGHT, target="b.example")])
    assert line.startswith("FALSE ALARM: sa-east: cdn-b: 2 domains")


def test_long_lists_are_cut() -> None:
    seen = [replace(RIGHT, edge=f"127.0.0.{n}:443") for n in range(1, 7)]
    (line,) = in_words(seen)
    assert "127.0.0.3:443 and 3 more" in line


def test_what_was_found_is_said_in_a_sentence() -> None:
    watch = Watch(PROPAGATION, fault_at=100.0)
    watch.look([RIGHT], 107.0)
    assert "after 7.0 s" in found_line(watch)
    assert "named 1 of 2 edges, 1 of 2 domains" in summary_line(watch)
    assert summary_line(Watch(AUTHORIZATION, fault_at=1.0)).endswith("NOT FOUND")
    assert summary_line(Watch(AUTHORIZATION)).endswith("was not begun")

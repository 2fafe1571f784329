"""Durations, sizes, moments and fingerprints read as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.config.units import (
    UnitProblem,
    format_duration,
    format_size,
    parse_duration,
    parse_fingerprint,
    parse_moment,
    parse_size,
)

EXAMPLES = "for example 15s, 2m, 1h30m or 250ms"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("15s", 15),
        ("2m", 120),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("1m500ms", 60.5),
        ("1d12h", 129600),
        ("0s", 0),
        ("0", 0),
        (0, 0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (15, "a duration needs a unit; write 15s"),
        (1.5, "a duration needs a unit; write 1.5s"),
        (-1, "a duration cannot be negative; write for example 15s"),
        ("15", '"15" is not a duration; write 15s'),
        ("15 sec", '"15 sec" is not a duration; write 15s'),
        ("15 Seconds", '"15 Seconds" is not a duration; write 15s'),
        ("15S", '"15S" is not a duration; write 15s'),
        ("2min", '"2min" is not a duration; write 2m'),
        ("1 hour, 30 minutes", '"1 hour, 30 minutes" is not a duration; write 1h30m'),
        ("500 msec", '"500 msec" is not a duration; write 500ms'),
        ("2 days", '"2 days" is not a duration; write 2d'),
        ("30m1h", f'"30m1h" is not a duration; write {EXAMPLES}'),
        ("1h1h", f'"1h1h" is not a duration; write {EXAMPLES}'),
        ("-5s", f'"-5s" is not a duration; write {EXAMPLES}'),
        ("5w", f'"5w" is not a duration; write {EXAMPLES}'),
        ("", f'"" is not a duration; write {EXAMPLES}'),
        ("s", f'"s" is not a duration; write {EXAMPLES}'),
        ("1s\n", '"1s\\n" is not a duration; write 1s'),
        (True, "this must be a duration; write for example 15s, 2m or 1h30m"),
        ([], "this must be a duration; write for example 15s, 2m or 1h30m"),
    ],
)
def test_what_is_no_duration_says_what_to_write(written: object, message: str) -> None:
    with pytest.raises(UnitProblem) as raised:
        parse_duration(written)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("100B", 100),
        ("64KiB", 65536),
        ("1MiB", 1048576),
        ("500kB", 500_000),
        ("1.5MB", 1_500_000),
        ("2GiB", 2**31),
        ("0B", 0),
    ],
)
def test_sizes(written: str, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (64, "a size needs a unit; write 64B, or for example 64KiB"),
        ("64", '"64" is not a size; write 64B'),
        ("64K", '"64K" is not a size; write 64KiB or 64kB'),
        ("64 kb", '"64 kb" is not a size; write 64KiB or 64kB'),
        ("64kib", '"64kib" is not a size; write 64KiB'),
        ("1 MiB", '"1 MiB" is not a size; write 1MiB'),
        ("1m", '"1m" is not a size; write 1MiB or 1MB'),
        ("5 bytes", '"5 bytes" is not a size; write 5B'),
        ("1TB", '"1TB" is not a size; write for example 64KiB or 1MiB'),
        ("", '"" is not a size; write for example 64KiB or 1MiB'),
        (None, "this must be a size; write for example 64KiB or 1MiB"),
        (True, "this must be a size; write for example 64KiB or 1MiB"),
    ],
)
def test_what_is_no_size_says_what_to_write(written: object, message: str) -> None:
    with pytest.raises(UnitProblem) as raised:
        parse_size(written)
    assert str(raised.value) == message


@given(st.integers(min_value=0, max_value=10**9).map(lambda milliseconds: milliseconds / 1000))
def test_a_formatted_duration_reads_as_itself(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.integers(min_value=0, max_value=2**40))
def test_a_formatted_size_reads_as_itself(size: int) -> None:
    if len(str(size)) <= 9 or size % 1024 == 0 or size % 1000 == 0:
        assert parse_size(format_size(size)) == size


@given(st.text(max_size=60) | st.from_regex(r"\A[0-9. smhdkKMGiBbytes]{0,30}\Z"))
def test_any_text_is_a_quantity_or_a_problem(text: str) -> None:
    for parse in (parse_duration, parse_size):
        message = "fine"
        try:
            assert parse(text) >= 0
        except UnitProblem as problem:
            message = str(problem)
        assert message.isprintable()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-02", 86400),
        ("2024-05-31", 1717113600),
        ("2024-05-31T12:00:00Z", 1717156800),
        ("2024-05-31T14:00:00+02:00", 1717156800),
        ("2024-05-31 12:00:00.5Z", 1717156800.5),
    ],
)
def test_moments(written: str, seconds: float) -> None:
    assert parse_moment(written) == seconds


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("2024-05-31T12:00:00", "the time has no time zone; write 2024-05-31T12:00:00Z for UTC"),
        ("yesterday", "write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z"),
        ("2024-02-30", "write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z"),
        ("31.05.2024", "write a date such as 2024-05-31, or a time such as 2024-05-31T12:00:00Z"),
    ],
)
def test_what_is_no_moment_says_what_to_write(written: str, message: str) -> None:
    with pytest.raises(UnitProblem) as raised:
        parse_moment(written)
    assert str(raised.value) == message


@pytest.mark.parametrize("separator", ["", ":", " "])
def test_fingerprints_come_out_as_lower_case_digits(separator: str) -> None:
    written = separator.join(["AB", "0c"] * 16)
    assert parse_fingerprint(written) == "ab0c" * 16


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("ab" * 31, "a SHA-256 fingerprint must have 64 digits; found 62"),
        ("ab" * 20, "this is a SHA-1 fingerprint; write the SHA-256 one, 64 digits"),
        (
            "zz" * 32,
            "a SHA-256 fingerprint must have only hexadecimal digits and colons",
        ),
        ("", "a SHA-256 fingerprint must have 64 digits; found 0"),
    ],
)
def test_what_is_no_fingerprint_says_why(written: str, message: str) -> None:
    with pytest.raises(UnitProblem) as raised:
        parse_fingerprint(written)
    assert str(raised.value) == message

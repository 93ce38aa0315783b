"""A plan's file: a valid one becomes pages of objects, any other is refused with its line."""

import json
import os
import tracemalloc
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncsync.errors import AuthError, ConfigError, UnsafeKeyError
from asyncsync.model import LARGEST_SIZE, Compared, Failed, Reason, RemoteObject, Route, Transfer
from asyncsync.paths import OddKeys
from asyncsync.report import events, planfile
from asyncsync.report.report import Report
from asyncsync.times import parse_time

ROUTE = Route("https://host", "sensors", "/srv/data")
OBJECTS = [
    RemoteObject("1hz/a.parquet", 7, "etag-1", 10**18 + 123_000),
    RemoteObject('"q"\n\x1b[31m\udcff.parquet', 0, 'W/"weak"', 0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the plan's file."""
    return tmp_path / "plan.json"


def lines(objects: list[RemoteObject] = OBJECTS, *, error: str = "") -> list[str]:
    """Return the lines of a plan with these transfers and one key that it skipped."""
    transfers = [Transfer(remote, (), Reason.MISSING) for remote in objects]
    skipped = Failed(RemoteObject("../x", 1, "", 0), UnsafeKeyError("../x", "unsafe"))
    report = Report()
    report.compared(Compared(transfers, [], [skipped]))
    sequence = [
        events.start_json("plan", ROUTE),
        events.outcome_json(skipped),
        *map(events.transfer_json, transfers),
        events.summary_json(report, "plan", AuthError.exit_code if error else 3, error),
    ]
    return [json.dumps(event) + "\n" for event in sequence]


def refusal(path: Path, text: str | bytes) -> str:
    """Return the error for a file with this content, without the path."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        planfile.read_plan(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_plan_of_a_shard_is_read_back(path: Path) -> None:
    """It says which one it is for; one that says nothing, or was made before, is for all."""
    start, *others = lines()
    path.write_text("".join([json.dumps({**json.loads(start), "shard": "2/8"}) + "\n", *others]))
    assert planfile.read_plan(path).route == replace(ROUTE, shard="2/8")


def test_plan_is_read_back(path: Path) -> None:
    """Route, keys, sizes, ETags and times, in the order of the lines."""
    path.write_text("".join(lines()))
    plan = planfile.read_plan(path)
    assert plan.route == ROUTE
    assert list(plan.pages()) == [OBJECTS]


@given(st.text(), st.text(), st.datetimes(timezones=st.timezones()))
def test_any_object_of_a_listing_is_read_back(key: str, etag: str, modified: datetime) -> None:
    """Even one with an odd ETag, which is then not sent in a request."""
    remote = RemoteObject(key, 1, etag, parse_time(modified.isoformat()))
    with NamedTemporaryFile("w") as file:
        file.write("".join(lines([remote])))
        file.flush()
        assert list(planfile.read_plan(Path(file.name)).pages()) == [[remote]]


def test_plan_of_nothing_has_no_page(path: Path) -> None:
    """It is complete nevertheless."""
    path.write_text("".join(lines([])))
    assert list(planfile.read_plan(path).pages()) == []


def test_length_of_a_plan_costs_no_memory(path: Path) -> None:
    """It is read page by page."""
    objects = [RemoteObject(f"1hz/{number}.parquet", 1, "etag", 0) for number in range(20_500)]
    path.write_text("".join(lines(objects)))
    size = path.stat().st_size
    del objects
    tracemalloc.start()
    pages = [len(page) for page in planfile.read_plan(path).pages()]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pages == [1000] * 20 + [500]
    assert most < size / 2


@pytest.mark.parametrize("cut", range(1, 5))
def test_plan_that_lacks_lines_is_refused(path: Path, cut: int) -> None:
    """The error names the missing or the incomplete line."""
    whole = lines()
    kept = len(whole) - cut
    assert refusal(path, "".join(whole[:-cut])).startswith(f"line {kept + 1}: is missing")
    half = whole[kept][: len(whole[kept]) // 2]
    assert refusal(path, "".join(whole[:-cut]) + half).startswith(f"line {kept + 1}: is incomplete")


def test_plan_that_lacks_a_line_in_the_middle_is_refused(path: Path) -> None:
    """The summary counts more transfers than the file has."""
    whole = lines()
    del whole[2]
    assert refusal(path, "".join(whole)) == (
        "line 4: counts 2 transfers, but the file has 1; make the plan again"
    )


def test_plan_that_ended_with_an_error_is_refused(path: Path) -> None:
    """It did not see the whole bucket."""
    said = refusal(path, "".join(lines(error="no\nnetwork")))
    assert said.startswith(r"line 5: the plan ended with an error: no\nnetwork")


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, ""),
        (1, "{}\n"),
        (1, '{"event": "start", "command": "sync", "format": 1}\n'),
        (1, '{"event": "start", "command": "plan", "format": 1, "endpoint": "x"}\n'),
        (1, '{"event": "start", "command": "plan", "format": 2}\n'),
        (2, "\n"),
        (2, "nonsense\n"),
        (2, "[]\n"),
        (2, "[" * 100_000 + "\n"),
        (2, "1" * 10_000 + "\n"),
        (2, '{"event": "transfxr"}\n'),
        (2, '{"event": "downloaded", "key": "a"}\n'),
        (2, lines()[0]),
        (2, b'{"event": "\xff"}\n'),
        (2, b"\0\n"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_damaged_line_is_named(path: Path, number: int, line: str | bytes) -> None:
    """Whatever is on it."""
    whole = [text.encode() for text in lines()]
    whole[number - 1] = line if isinstance(line, bytes) else line.encode()
    assert refusal(path, b"".join(whole)).startswith(f"line {number}: ")


@pytest.mark.parametrize(
    "change",
    [
        {"key": None},
        {"key": 1},
        {"size": -1},
        {"size": True},
        {"size": 1.5},
        {"size": "7"},
        {"size": LARGEST_SIZE + 1},
        {"size": 10**30},
        {"etag": None},
        {"modified": None},
        {"modified": "yesterday"},
        {"modified": "2026-01-01T00:00:00"},
    ],
    ids=str,
)
def test_invalid_transfer_is_named(path: Path, change: dict[str, Any]) -> None:
    """Each field must have a valid value of its type."""
    whole = lines()
    whole[2] = json.dumps({**json.loads(whole[2]), **change}) + "\n"
    assert refusal(path, "".join(whole)).startswith("line 3: is not a valid transfer")


@pytest.mark.parametrize("behind", ["\n", "{}\n", "x", lines()[0]])
def test_nothing_follows_the_summary(path: Path, behind: str) -> None:
    """For example, a second plan that was appended."""
    assert refusal(path, "".join(lines()) + behind).startswith("line 6: ")


def test_endless_line_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fill the memory."""
    monkeypatch.setattr(planfile, "LONGEST_LINE", 1000)
    whole = lines()
    whole[1] = " " * 2000 + "\n"
    assert refusal(path, "".join(whole)).startswith("line 2: is incomplete or too long")


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, a pipe."""
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("none", "No such file"),
        (".", "is not a regular file"),
        ("pipe", "not a regular file"),
    ):
        with pytest.raises(ConfigError, match=words):
            planfile.read_plan(tmp_path / name)


def test_file_that_changes_after_its_check_is_refused(path: Path) -> None:
    """It is checked again while it is read."""
    path.write_text("".join(lines()))
    plan = planfile.read_plan(path)
    path.write_text("".join(lines()[:-1]))
    with pytest.raises(ConfigError, match="line 5"):
        list(plan.pages())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_file_is_refused_or_has_as_many_objects(path: Path, data: st.DataObject) -> None:
    """Changed bytes raise no error but ConfigError."""
    whole = bytearray("".join(lines()).encode())
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
        whole[position] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        pages = list(planfile.read_plan(path).pages())
    except ConfigError:
        return
    assert sum(map(len, pages)) == len(OBJECTS)


def test_plan_keeps_what_it_does_with_odd_keys(path: Path) -> None:
    """A file of a version that knew only one way goes that way; no other is accepted."""
    start, *rest = lines(OBJECTS[:1])
    begun = json.loads(start)
    path.write_text(json.dumps({**begun, "odd_keys": "encode"}) + "\n" + "".join(rest))
    assert planfile.read_plan(path).route == replace(ROUTE, odd_keys=OddKeys.ENCODE)
    del begun["odd_keys"]
    path.write_text(json.dumps(begun) + "\n" + "".join(rest))
    assert planfile.read_plan(path).route == ROUTE
    for wrong in ("fold", 7, None, ["encode"]):
        text = json.dumps({**begun, "odd_keys": wrong}) + "\n" + "".join(rest)
        said = "line 1: is not the start of a plan; make the plan again"
        assert refusal(path, text) == said


def stripped_lines(stripped: object) -> str:
    """Return the lines of a plan that strips a prefix."""
    start, *rest = lines()
    return json.dumps({**json.loads(start), "stripped": stripped}) + "\n" + "".join(rest)


def test_plan_keeps_the_prefix_that_it_strips(path: Path) -> None:
    """A file of a version that knew none has none."""
    start, *rest = lines(OBJECTS[:1])
    path.write_text(json.dumps({**json.loads(start), "stripped": "1hz/"}) + "\n" + "".join(rest))
    assert planfile.read_plan(path).route == replace(ROUTE, stripped="1hz/")
    older = {name: value for name, value in json.loads(start).items() if name != "stripped"}
    path.write_text(json.dumps(older) + "\n" + "".join(rest))
    assert planfile.read_plan(path).route == ROUTE


@pytest.mark.parametrize("stripped", ["1hz", 7, None, ["1hz/"]])
def test_prefix_that_cannot_be_stripped_is_refused(path: Path, stripped: object) -> None:
    """It would cut names."""
    said = "line 1: is not the start of a plan; make the plan again"
    assert refusal(path, stripped_lines(stripped)) == said


def test_key_without_the_stripped_prefix_is_refused(path: Path) -> None:
    """Its path would be that of another key."""
    said = "line 4: its key lacks the prefix that the plan strips; make the plan again"
    assert refusal(path, stripped_lines("1hz/")) == said

"""The events of a run as JSON: one by one, of whole runs, and by their schema and description."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from asyncsync.errors import AuthError, VanishedError
from asyncsync.model import Compared, Downloaded, Reason, RemoteObject, Route, Transfer, UpToDate
from asyncsync.paths import OddKeys
from asyncsync.report import events
from asyncsync.report.report import Report
from tests import ROOT
from tests.rigs.bucket import Bucket
from tests.rigs.child import asyncsync
from tests.rigs.outcomes import HASHED, failed, remote, transfer

DESCRIPTION = (ROOT / "docs/json.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/events.schema.json").read_text(encoding="utf-8"))
MODIFIED_NS = 10**18 + 1000
KINDS = [reference["$ref"].rpartition("/")[2] for reference in SCHEMA["oneOf"]]


# single events ----------------------------------------------------------------------------------


def test_start_names_bucket_and_destination() -> None:
    """It also has the version of the format."""
    route = Route("https://host", "sensors", "/srv/data", "1hz/", OddKeys.ENCODE)
    assert events.start_json("plan", route) == {
        "event": "start",
        "format": 1,
        "command": "plan",
        "endpoint": "https://host",
        "bucket": "sensors",
        "dest": "/srv/data",
        "stripped": "1hz/",
        "odd_keys": "encode",
    }
    shard = events.start_json("sync", replace(route, shard="2/8"))
    assert shard == {**events.start_json("sync", route), "shard": "2/8"}


def test_path_is_told_where_it_is_not_the_key() -> None:
    """It is encoded, or the prefix is stripped."""
    odd = Transfer(RemoteObject("a//b", 7, "etag", 0), ("a", "%~", "b"), Reason.MISSING)
    assert list(events.transfer_json(odd).items())[1:3] == [("key", "a//b"), ("path", "a/%~/b")]
    assert events.outcome_json(Downloaded(odd, 1, 0.0))["path"] == "a/%~/b"
    assert "path" not in events.transfer_json(transfer("1hz/a", 7))


def test_each_outcome_has_its_event() -> None:
    """It has the key and what is known about the object."""
    assert events.transfer_json(transfer("1hz/a", 7, Reason.NEWER, MODIFIED_NS)) == {
        "event": "transfer",
        "key": "1hz/a",
        "size": 7,
        "etag": "etag",
        "modified": "2001-09-09T01:46:40.000001Z",
        "reason": "newer",
    }
    assert events.outcome_json(
        Downloaded(transfer("a", 7, modified_ns=MODIFIED_NS), 2, 1.23456, 0, HASHED)
    ) == {
        "event": "downloaded",
        "key": "a",
        "size": 7,
        "etag": "etag",
        "modified": "2001-09-09T01:46:40.000001Z",
        "reason": "missing",
        "attempts": 2,
        "seconds": 1.235,
        "proven": ["size", "version", "md5-of-parts"],
    }
    assert events.outcome_json(UpToDate(remote("a", 7), HASHED)) == {
        "event": "up-to-date",
        "key": "a",
        "size": 7,
        "proven": ["size", "version", "md5-of-parts"],
    }
    assert events.outcome_json(failed("a")) == {
        "event": "failed",
        "key": "a",
        "error": "IntegrityError",
        "message": "why",
    }
    assert events.outcome_json(failed("a", VanishedError))["event"] == "skipped"


def test_transfer_says_what_is_edited_and_kept_where_it_is() -> None:
    """The fields are left out otherwise."""
    plain = transfer("a")
    assert events.transfer_json(plain).keys().isdisjoint({"edited", "kept"})
    known = events.transfer_json(replace(plain, is_edited=True, kept=7))
    assert (known["edited"], known["kept"]) == (True, 7)


def test_summary_has_all_counts() -> None:
    """By prefix and in total, and the error that ended the run early."""
    report = Report(seconds=2.0)
    report.counted({"": 1, "1hz/": 3, "old/": 7})
    report.compared(
        Compared([transfer("1hz/a", 7)], [UpToDate(remote("b"))], [failed("a//c", VanishedError)])
    )
    report.ended(Downloaded(transfer("1hz/a", 7), 2, 0.5, 3, HASHED))
    report.filtered({"1hz/": 2})
    report.absent("typo/")
    report.unmatched("typo/")
    summary = events.summary_json(report, "sync", AuthError.exit_code, "no network")
    assert json.loads(json.dumps(summary)) == {
        "event": "summary",
        "command": "sync",
        "exit_code": 4,
        "error": "no network",
        "downloaded": 1,
        "new": 1,
        "replaced": 0,
        "edited": 0,
        "downloaded_bytes": 7,
        "kept_bytes": 3,
        "up_to_date": 1,
        "failed": 0,
        "skipped": 1,
        "archived": 0,
        "retried": 1,
        "proven": {
            "size": 1,
            "version": 1,
            "md5": 0,
            "md5-of-parts": 1,
            "crc64nvme": 0,
            "crc32": 0,
            "crc32c": 0,
            "sha256": 0,
            "parquet": 0,
        },
        "content_proven": 1,
        "unmatched": ["typo/"],
        "absent": ["typo/"],
        "left": [],
        "verified": 0,
        "extra": 0,
        "deleted": 0,
        "deleted_bytes": 0,
        "seconds": 2.0,
        "prefixes": {
            "": tally(1, 1, 0, 0, 0, 0),
            "1hz/": tally(3, 1, 1, 1, 7, 2),
            "a/": tally(0, 1, 0, 0, 0, 0),
            "old/": tally(7, 0, 0, 0, 0, 0),
        },
        "total": tally(11, 3, 1, 1, 7, 2),
    }


def tally(*figures: int) -> dict[str, int]:
    names = ("local", "in_bucket", "missing", "to_download", "bytes_to_download", "left_out")
    none = dict.fromkeys(("changed", "edited", "bytes_kept"), 0)
    return {**none, **dict(zip(names, figures, strict=True))}


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_json_holds_any_key_exactly(key: str) -> None:
    """It is one line of ASCII, from which the key can be read back, even one with raw bytes."""
    line = json.dumps(events.outcome_json(UpToDate(remote(key))))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["key"] == key


# the schema and its description -----------------------------------------------------------------


def strict(schema: object) -> object:
    """Return the schema changed to allow no other fields."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(part) for name, part in schema.items()}
    if "properties" in closed:
        closed["additionalProperties"] = False
    return closed


VALIDATOR = Draft202012Validator(strict(SCHEMA))


def test_schema_is_valid() -> None:
    """By the draft that it names; it allows for new fields."""
    Draft202012Validator.check_schema(SCHEMA)
    later = {**events.outcome_json(failed("a")), "new": 1}
    Draft202012Validator(SCHEMA).validate(later)
    assert not VALIDATOR.is_valid(later)


@pytest.mark.anyio
async def test_every_event_of_real_runs_matches_the_schema(bucket: Bucket, tmp_path: Path) -> None:
    """All kinds of events occur: in syncs and failed runs, of files that go, of each command."""
    keys = ["1hz/a.parquet", "1hz/b.parquet", ".asyncsync/c.parquet"]  # the last one is odd
    bucket.put_many(dict.fromkeys(keys, b"data"))
    dest = tmp_path / "dest"
    settings = bucket.server.environment()
    arguments = ("--json", "--dest", str(dest), "1hz/", "typo/", ".asyncsync/")
    done = [await asyncsync(settings, command, *arguments) for command in ("plan", "sync")]
    (dest / "1hz/b.parquet").rename(dest / "1hz/mine.parquet")
    done.append(await asyncsync(settings, "verify", *arguments))
    done.append(await asyncsync(settings | {"R2_BUCKET": "nowhere"}, *arguments))
    assert [run.code for run in done] == [3, 3, 1, 4]
    encoding = (*arguments[:-2], ".asyncsync/", "--odd-keys", "encode")
    done += [await asyncsync(settings, command, *encoding) for command in ("plan", "sync")]
    for run in done[-2:]:
        assert [event["path"] for event in run.events if "path" in event] == [
            "%~.asyncsync/c.parquet"
        ]
    bucket.delete("1hz/a.parquet")
    deleting = ("--json", "--dest", str(dest), "1hz/", "--delete", "--max-delete", "1")
    done += [await asyncsync(settings, command, *deleting) for command in ("plan", "sync")]
    assert [run.summary["deleted"] for run in done[-2:]] == [1, 1]
    for run in done:
        assert (run.events[0]["event"], run.summary["event"]) == ("start", "summary")
        for event in run.events:
            VALIDATOR.validate(event)
    done.append(await asyncsync(settings | {"R2_BUCKET": "nowhere"}, "doctor", "--json"))
    for event in done[-1].events:
        VALIDATOR.validate(event)
    done += [await asyncsync(settings, command, "--json") for command in ("ls", "du")]
    done.append(await asyncsync(settings, "ls", "-r", "--json"))
    for run in done[-3:]:
        assert (run.events[0]["event"], run.summary["event"]) == ("start", "end")
        for event in run.events:
            VALIDATOR.validate(event)
    assert {event["event"] for run in done for event in run.events} == {*KINDS}


def test_description_names_every_event_and_field() -> None:
    """It names none that the schema does not have."""
    kinds = re.findall(r"^\| `([\w-]+)` \|", part("Events"), re.MULTILINE)
    assert kinds == KINDS
    described = set()
    for names, owners in re.findall(r"^\| (`.+?) \| (.+?) \|", part("Fields"), re.MULTILINE):
        for owner in re.findall(r"`([\w-]+)`", owners) or [owners]:
            described |= {(owner, name) for name in re.findall(r"`(\w+)`", names)}
    fields = {
        (kind, name)
        for kind in [*KINDS, "tally"]
        for name in SCHEMA["$defs"][kind]["properties"]
        if name not in {"event", "key"}
    }
    assert described == fields | {("all", "event"), ("objects", "key")}


def part(heading: str) -> str:
    return DESCRIPTION.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_lines_in_the_description_are_events() -> None:
    """They match the schema, including the order of the fields."""
    lines = re.findall(r"^\{.+\}$", DESCRIPTION, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        event = json.loads(line)
        VALIDATOR.validate(event)
        assert list(event) == SCHEMA["$defs"][event["event"]]["required"]

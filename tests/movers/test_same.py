"""What a run with movers does, and says of it, is what one without does."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

import asyncsync
from asyncsync.disk import PART
from asyncsync.given import Given
from asyncsync.report import outcome_json
from tests.rigs.movers import env_file
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

LARGE = os.urandom(1_000_003)
OBJECTS = {
    **{f"1hz/{number:02}.parquet": bytes([number]) * number for number in range(20)},
    "large/one.parquet": LARGE,
    "large/parts.parquet": LARGE * (PART // len(LARGE) + 2),
    "large/no-ranges.parquet": LARGE * (PART // len(LARGE) + 3),
    "odd/busy.parquet": b"busy" * 10,
    "odd/changed.parquet": b"changed",
    "odd/damaged.parquet": b"damaged",
    "odd/damaged-large.parquet": LARGE + b"damaged",
    "odd/edited.parquet": b"edited",
    "odd/gone.parquet": b"gone",
    "odd/no-head.parquet": b"no-head",
    "odd/out-of-order.parquet": b"out-of-order",
    "odd/refused.parquet": b"refused",
    "odd/touched.parquet": b"touched",
    "odd/weak.parquet": b"weak",
    "odd/weak-large.parquet": LARGE + b"weak",
    "odd/\u00fc \U0001f600.parquet": b"name",
}
WEAK = {OBJECTS[key] for key in OBJECTS if "weak" in key}


def serve(s3: ScriptedS3) -> None:
    """Let objects meet what their names say."""
    usual_tag = s3.tag
    s3.tag = lambda data: "" if data in WEAK else usual_tag(data)

    def meet(request: Request) -> Answer | None:
        usual = s3.usual(request)
        match request.key.removeprefix("odd/").removesuffix(".parquet"):
            case "busy" if s3.count(request.verb, request.key) == 1:
                return Answer(b"<Error><Code>SlowDown</Code></Error>", 503)
            case "changed":
                return Answer(b"<Error><Code>PreconditionFailed</Code></Error>", 412)
            case "damaged" | "damaged-large" if request.verb == "GET":
                return replace(usual, body=b"!" + usual.body[1:])
            case "gone":
                return Answer(b"<Error><Code>NoSuchKey</Code></Error>", 404)
            case "no-head" if request.verb == "HEAD":
                return Answer(b"", 403)
            case "out-of-order":
                return Answer(b"<Error><Code>InternalError</Code></Error>", 500)
            case "refused":
                return Answer(b"<Error><Code>AccessDenied</Code></Error>", 403)
            case "large/no-ranges":
                return s3.usual(replace(request, headers={}))
        return None

    s3.on_object = meet


def fill(dest: Path) -> None:
    """Make files that another tool has brought, one of which was edited since."""
    for folder in (dest, dest / "odd"):  # where the prefix is stripped, and where it is not
        folder.mkdir()
        (folder / "edited.parquet").write_bytes(b"another")
        (folder / "touched.parquet").write_bytes(b"touched")


Done = tuple[dict[str, dict[str, object]], dict[str, bytes], dict[str, bytes], int]


async def run(folder: Path, processes: int, given: Given) -> Done:
    """Sync; return what is told of each object, the files, what was replaced, and the exit code."""
    dest, seen = folder / "dest", Watcher()
    fill(dest)
    async with ScriptedS3(OBJECTS) as s3:
        serve(s3)
        full: Given = {
            **given,
            "dest": dest,
            "env_file": env_file(folder, s3.environment),
            "processes": processes,
            "observer": seen,
            "attempts": 2,
        }
        if "backup_dir" in given:
            full["backup_dir"] = folder / "backup"
        report = await asyncsync.sync(**full)
    assert len(seen.outcomes) == len({outcome.remote.key for outcome in seen.outcomes})
    for key, sizes in seen.bytes.items():
        if key in tree(dest):
            assert sum(sizes) == len(OBJECTS[key])
    told = {outcome.remote.key: dict(outcome_json(outcome)) for outcome in seen.outcomes}
    for line in told.values():
        line.pop("seconds", None)
    backup = tree(folder / "backup") if (folder / "backup").exists() else {}
    return told, tree(dest), backup, report.exit_code


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"durable": True},
        {"backup_dir": "backup"},
        {"compare": "hash"},
        {"compare": "size", "validate": "head"},
        {"validate": "response", "limit_rate": "500M"},
        {"prefixes": ["odd/"], "strip_prefix": True, "odd_keys": "encode"},
    ],
    ids=lambda given: ",".join(given) or "defaults",
)
async def test_outcomes_are_those_of_a_run_without_movers(given: Given, tmp_path: Path) -> None:
    """With class and message of each error, and what was proven; the files are the same."""
    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    without = await run(tmp_path / "without", 0, given)
    with_movers = await run(tmp_path / "with", 2, given)
    at, there = str(tmp_path / "without"), str(tmp_path / "with")
    expected = {
        key: {n: v.replace(at, there) if isinstance(v, str) else v for n, v in line.items()}
        for key, line in without[0].items()
    }
    assert with_movers[0] == expected
    assert with_movers[1:] == without[1:]
    assert {line["error"] for line in expected.values() if "error" in line} >= {
        "AccessDeniedError",
        "RemoteChangedError",
        "RetriesExhaustedError",
        "VanishedError",
    }

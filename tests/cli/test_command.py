"""The commands, called as a function: what they print, and their exit codes."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from asyncsync.cli import signals
from asyncsync.disk import Folder
from asyncsync.errors import (
    AsyncSyncError,
    AuthError,
    BucketError,
    ConnectionLostError,
    ListingError,
    ServerError,
    VanishedError,
)
from asyncsync.model import Head
from tests.rigs.called import OBJECTS, Ran, Run
from tests.rigs.memory_store import MEMORY, Act, MemoryStore, use_memory
from tests.rigs.watch import snapshot, tree, unfinished
from tests.rigs.wrapped import on_a_terminal

DEST = Path("downloads")


# commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("sync",)])
def test_sync_is_the_default(store: MemoryStore, run: Run, arguments: tuple[str, ...]) -> None:
    """It prints source and destination, the sync check, and a summary."""
    ran = run(*arguments)
    assert (ran.code, ran.err) == (0, "")
    first, *check, last = ran.out.splitlines()
    assert first == "sync: sensors at https://memory.example -> downloads"
    assert [line.split()[:6] for line in check[1:]] == [
        ["(root)", "0", "1", "1", "0", "1"],
        ["1hz/", "0", "2", "2", "0", "2"],
        ["total", "0", "3", "3", "0", "3"],
    ]
    assert last.startswith("3 downloaded (7 B at ")
    assert tree(DEST) == OBJECTS

    again = run(*arguments)
    assert again.out.splitlines()[-1].startswith("0 downloaded, 3 up to date, 0 failed")


def test_plan_changes_nothing(store: MemoryStore, run: Run, tmp_path: Path) -> None:
    """It shows what a sync would download, and whether it fits."""
    before = snapshot(tmp_path)
    ran = run("plan", "--verbose")
    assert (ran.code, ran.err) == (0, "")
    assert "missing: 1hz/a.parquet (1 B)" in ran.out
    assert re.search(r"^3 to download \(7 B\), 0 up to date; fits: .* free$", ran.out, re.MULTILINE)
    assert snapshot(tmp_path) == before
    assert {request.verb for request in store.requests} == {"list"}


def test_verify_changes_nothing(store: MemoryStore, run: Run, tmp_path: Path) -> None:
    """The exit code is 0 if all files are up to date, and 1 otherwise."""
    run("sync")
    before = snapshot(tmp_path)
    ran = run("verify")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1].startswith("3 verified, 0 not in sync, 0 skipped, in ")
    assert snapshot(tmp_path) == before
    (DEST / "root.parquet").unlink()
    ran = run("verify")
    assert (ran.code, ran.err) == (1, "failed: root.parquet: there is no file\n")


# output -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
def test_quiet_run_prints_nothing(store: MemoryStore, run: Run, command: str) -> None:
    """Without a failure, both streams stay empty."""
    run("sync")
    assert run(command, "--quiet") == Ran(0, "", "")


def test_quiet_run_prints_failures(store: MemoryStore, run: Run) -> None:
    """Failures and skipped keys are printed even if quiet."""
    store.put("a//b.parquet", b"x")
    ran = run("--quiet")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("skipped: a//b.parquet: ")


def test_prefix_that_matches_nothing_brings_a_warning(store: MemoryStore, run: Run) -> None:
    """The exit code is 3, and all others are synced."""
    ran = run("sync", "1hz/", "typo/")
    assert (ran.code, len(tree(Path("downloads")))) == (3, 2)
    assert ran.err == (
        "nothing to sync under prefix typo/: no key begins with it; `asyncsync ls` shows what "
        "there is\n"
    )


@pytest.mark.parametrize("arguments", [(), ("--include", "*.csv"), ("verify", "--quiet")])
def test_bucket_without_a_selected_key_brings_a_warning(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """The exit code is 0, but a glob is probably wrong."""
    why = "no key matches --include '*.csv'; --include '*' includes all"
    if "--include" not in arguments:
        use_memory(monkeypatch, MemoryStore())
        why = "it is empty"
    ran = run(*arguments)
    assert (ran.code, ran.err) == (0, f"nothing to sync in the bucket: {why}\n")


def test_verbose_run_names_every_object(store: MemoryStore, run: Run) -> None:
    """It is named when it is found to be missing, and when it is downloaded."""
    out = run("--verbose").out
    for key in OBJECTS:
        assert f"missing: {key}" in out
        assert f"downloaded: {key}" in out


def test_every_line_of_json_parses_a_start_first_and_a_summary_last(
    store: MemoryStore, run: Run
) -> None:
    """That holds for all keys, and nothing else is on standard output."""
    odd = ['"q"\n\x1b[31m.parquet', "é\u2028.parquet", "\udcff.parquet"]
    store.put_many(dict.fromkeys(odd, b"x"))
    store.put("a//b.parquet", b"unsafe")
    store.always("get", "root.parquet", Act(error=VanishedError("root.parquet", "gone")))
    ran = run("--json")
    assert (ran.code, ran.err) == (3, "")
    start, *events, summary = ran.events
    assert start == {
        "event": "start",
        "format": 1,
        "command": "sync",
        "endpoint": "https://memory.example",
        "bucket": "sensors",
        "dest": str(DEST.absolute()),
        "stripped": "",
        "odd_keys": "skip",
    }
    by_kind: dict[str, list[str]] = {}
    for event in events:
        by_kind.setdefault(event["event"], []).append(event["key"])
    assert sorted(by_kind.pop("downloaded")) == sorted(["1hz/a.parquet", "1hz/b.parquet", *odd])
    assert sorted(by_kind.pop("skipped")) == ["a//b.parquet", "root.parquet"]
    assert by_kind == {}
    assert summary["event"] == "summary"
    assert (summary["command"], summary["exit_code"], summary["error"]) == ("sync", 3, "")
    assert (summary["downloaded"], summary["skipped"], summary["failed"]) == (5, 2, 0)
    assert summary["prefixes"]["1hz/"] == {
        "local": 0,
        "in_bucket": 2,
        "missing": 2,
        "changed": 0,
        "edited": 0,
        "to_download": 2,
        "bytes_to_download": 3,
        "bytes_kept": 0,
        "left_out": 0,
    }


def test_json_of_a_plan_names_the_transfers(store: MemoryStore, run: Run) -> None:
    """Each missing object is one event, with the reason."""
    _, *events, summary = run("plan", "--json").events
    assert sorted(event["key"] for event in events) == sorted(OBJECTS)
    assert {(event["event"], event["reason"]) for event in events} == {("transfer", "missing")}
    assert summary["total"]["to_download"] == 3


def test_json_of_a_failed_run_ends_with_a_summary(store: MemoryStore, run: Run) -> None:
    """The summary holds the error and the exit code."""
    store.always("list", "", Act(error=ListingError("broken")))
    ran = run("--json")
    assert ran.code == 4
    assert ran.events[-1]["exit_code"] == 4
    assert ran.events[-1]["error"].endswith("broken")


def test_log_file_has_the_retries(store: MemoryStore, run: Run, tmp_path: Path) -> None:
    """Lines are appended, and hold no secret."""
    log = tmp_path / "run.log"
    log.write_text("before\n")
    store.on("get", "root.parquet", Act(error=ConnectionLostError("cut off")))
    assert run("--log-file", str(log), "--quiet").code == 0
    before, first, *_, last = log.read_text().splitlines()
    assert before == "before"
    assert "INFO sync: sensors at " in first
    assert "INFO 3 downloaded" in last
    assert "cut off" in log.read_text()
    assert "the-secret" not in log.read_text()


# a plan, carried out later ----------------------------------------------------------------------


@pytest.fixture
def plan(store: MemoryStore, run: Run) -> Path:
    """The file of a plan to download all objects."""
    path = Path("plan.json")
    path.write_text(run("plan", "--json").out)
    store.requests.clear()
    return path


def test_sync_of_a_plan_lists_nothing(store: MemoryStore, run: Run, plan: Path) -> None:
    """It downloads the planned objects and no others."""
    store.put("later.parquet", b"later")
    assert run("sync", "--plan", str(plan)).code == 0
    assert tree(DEST) == OBJECTS
    assert store.count("list") == 0
    again = run("--plan", str(plan))
    assert again.out.splitlines()[-1].startswith("0 downloaded, 3 up to date, 0 failed")


def test_sync_of_a_plan_takes_no_other_version(store: MemoryStore, run: Run, plan: Path) -> None:
    """The exit code is 1 for replaced objects, 3 for deleted ones, and 1 for both."""
    store.delete("root.parquet")
    ran = run("--plan", str(plan))
    assert (ran.code, ran.err.count("skipped: root.parquet")) == (3, 1)
    store.put("1hz/a.parquet", b"new")
    (DEST / "1hz/a.parquet").unlink()
    ran = run("--plan", str(plan))
    assert (ran.code, ran.err.count("failed: 1hz/a.parquet: replaced")) == (1, 1)
    assert sorted(tree(DEST)) == ["1hz/b.parquet"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("1hz/",), "prefixes: a plan already says what to fetch"),
        (("--include", "*"), "--include: "),
        (("--exclude", "*"), "--exclude: "),
        (("plan",), "--plan: goes with sync"),
        (("verify",), "--plan: goes with sync"),
        (("doctor",), "--plan: goes with sync"),
    ],
    ids=lambda value: value[0],
)
def test_plan_goes_with_no_other_selection(
    store: MemoryStore, run: Run, plan: Path, arguments: tuple[str, ...], said: str
) -> None:
    """A plan selects the objects itself, and only a sync can carry it out."""
    ran = run(*arguments, "--plan", str(plan))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"asyncsync: {said}")
    assert store.requests == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memory.example", "other.example", "endpoint https://other.example"),
        ('"sensors"', '"others"', "bucket others"),
        ("/downloads", "/elsewhere", "dest /"),
        ('"size": 7', '"size": -7', "line "),
    ],
    ids=["endpoint", "bucket", "dest", "damage"],
)
def test_plan_that_is_not_for_this_run_is_2(
    store: MemoryStore, run: Run, plan: Path, old: str, new: str, said: str
) -> None:
    """It is for another endpoint, bucket or destination, or has a damaged line."""
    text = plan.read_text().replace('"size": 4', '"size": 7')
    plan.write_text(text.replace(old, new))
    ran = run("--plan", str(plan))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert store.requests == []


def test_destination_on_the_command_line_overrides_that_of_the_plan(
    store: MemoryStore, run: Run, plan: Path
) -> None:
    """It was named explicitly, so it is meant."""
    assert run("--plan", str(plan), "--dest", "other").code == 0
    assert tree(Path("other")) == OBJECTS


# exit codes -------------------------------------------------------------------------------------


def test_failed_object_is_1(store: MemoryStore, run: Run) -> None:
    """The failure is printed with its reason, and all other objects are downloaded."""
    store.always("get", "root.parquet", Act(error=ServerError("the server failed")))
    ran = run("--attempts", "1")
    assert ran.code == 1
    assert ran.err == "failed: root.parquet: given up after 1 attempt: the server failed\n"
    assert sorted(tree(DEST)) == ["1hz/a.parquet", "1hz/b.parquet"]


@pytest.mark.row(127)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--workers", "many"), "--workers"),
        (("--workers", "0"), "--workers: 0 is not between 1 and"),
        (("--max-workers", "9999999"), "--max-workers: "),
        (("--attempts", "0"), "--attempts: 0 is less"),
        (("--limit-rate", "1"), "--limit-rate: 1 is less"),
        (("--validate", "md5"), "--validate"),
        (("--dest", ""), "--dest"),
        (("--dest", "/"), "--dest: the root"),
        (("--env-file", "nowhere.env"), "nowhere.env"),
        (("--log-file", "nowhere/run.log"), "--log-file"),
        (("--log-file", ""), "--log-file"),
        (("--print-completion", ""), "--print-completion"),
        (("--keep",), "--keep: goes with demo, not with sync"),
        (("plan", "--keep"), "--keep: goes with demo, not with plan"),
        (("--deep",), "--deep: goes with verify, not with sync"),
        (("plan", "--deep"), "--deep: goes with verify, not with plan"),
        (("demo", "1hz/"), "1hz/"),
        (("demo", "--limit-rate", "5M"), "--limit-rate: goes with sync and get, not with demo"),
        (("demo", "--no-parquet-check"), "--no-parquet-check: goes with sync, verify and get, not"),
        (("--plan", "nowhere.json"), "nowhere.json"),
        (("--plan", ""), "is not a regular file"),
        (("--colour",), "--colour"),
        (("--dest",), "--dest"),
    ],
    ids=" ".join,
)
def test_bad_argument_is_2(
    store: MemoryStore, run: Run, arguments: tuple[str, ...], named: str
) -> None:
    """The message names it, and no request is sent."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert named in ran.err
    assert store.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--colour",),
        ("--dest",),
        ("verfy",),
        ("--keep",),
        ("--workers", "many"),
        ("--dest", "/"),
        ("--limit-rate", "20Mbit/s"),
        ("--profile", "x"),
        ("--env-file", "nowhere.env"),
        ("s3://",),
        ("1hz/", "s3://a"),
        ("1hz", "--strip-prefix"),
    ],
    ids=" ".join,
)
def test_message_says_what_is_wrong_and_what_to_do_in_80_columns(
    store: MemoryStore, run: Run, arguments: tuple[str, ...]
) -> None:
    """The second clause begins in the first row of a terminal; the rest may be longer."""
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("asyncsync: ")
    assert re.search("[;,] |did you mean| neither | not one of | not ", ran.err[:70]), ran.err


@pytest.mark.anyio
async def test_message_in_a_terminal_is_red_and_wrapped_at_words() -> None:
    """All settings that are missing are named, in whole words."""
    code, shown = await on_a_terminal({"COLUMNS": "80", "TERM": "xterm"})
    assert code == 2
    red, text = shown[:5], shown[5:].removesuffix("\x1b[0m\r\n")
    assert (red, text[:34]) == ("\x1b[31m", "asyncsync: 4 settings are missing;")
    assert max(map(len, text.split("\r\n"))) <= 80
    assert {"R2_ACCESS_KEY_ID,", "R2_SECRET_ACCESS_KEY,", "R2_BUCKET;"} <= {*text.split()}


@pytest.mark.row(122)
@pytest.mark.parametrize(
    "variable", ["R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT_URL", "R2_BUCKET"]
)
@pytest.mark.parametrize("value", [None, "", " "], ids=["missing", "empty", "blank"])
def test_missing_setting_is_2(
    store: MemoryStore,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
) -> None:
    """One line names the variable."""
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"asyncsync: {variable}: not set")
    assert ran.err.count("\n") == 1
    assert store.requests == []


def test_skipped_key_is_3(store: MemoryStore, run: Run) -> None:
    """Its control characters are escaped, and all other objects are downloaded."""
    store.put("../\x1b[2J.parquet", b"evil")
    ran = run()
    assert ran.code == 3
    assert ran.err.startswith(r"skipped: ../\x1b[2J.parquet: ")
    assert ", 1 skipped" in ran.out
    assert tree(DEST) == OBJECTS


def test_failed_and_skipped_is_1(store: MemoryStore, run: Run) -> None:
    """A failure outweighs a skipped key."""
    store.put("../x.parquet", b"evil")
    store.always("head", "root.parquet", Act(head=Head(99, "")))
    assert run().code == 1


@pytest.mark.parametrize(
    "error",
    [AuthError("no rights"), BucketError("no bucket"), ConnectionLostError("connection refused")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
def test_remote_side_that_ends_the_run_is_4(
    store: MemoryStore, run: Run, command: str, error: AsyncSyncError
) -> None:
    """The last line gives the reason and the exit code."""
    store.always("list", "", Act(error=error))
    ran = run(command, "--attempts", "1")
    assert ran.code == 4
    assert str(error) in ran.err.splitlines()[-1]
    assert ran.err.endswith("(exit code 4)\n")


def test_local_side_that_ends_the_run_is_5(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk does, and so does a destination that cannot be made."""
    DEST.touch()
    ran = run("--dest", str(DEST / "below"))
    assert ran.code == 5
    assert "Not a directory; choose another --dest" in ran.err
    assert store.requests == []

    def utime(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "utime", utime)
    ran = run("--dest", "full")
    assert ran.code == 5
    assert "No space left on device; make room" in ran.err
    assert unfinished(Path("full")) == []


@pytest.mark.row(149)
def test_plan_that_does_not_fit_is_5(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync would end so; where it would not, because it does not check, the plan does neither."""
    with monkeypatch.context() as patched:
        full = SimpleNamespace(total=1000, used=994, free=6)
        patched.setattr("shutil.disk_usage", lambda path: full)
        ran = run("plan")
        assert (ran.code, ran.err) == (5, "")
        assert ran.out.endswith("3 to download (7 B), 0 up to date; DOES NOT FIT: 6 B free\n")
        assert run("sync").code == 5
        assert run("plan", "--no-space-check").code == 0
        store.put("../x.parquet", b"")
        assert run("plan", "--exit-code").code == 5
        assert run("plan", "--no-space-check", "--exit-code").code == 3
        planned = run("plan", "--json")
    assert (planned.code, planned.events[-1]["exit_code"]) == (5, 5)
    Path("plan.json").write_text(planned.out)
    assert run("sync", "--plan", "plan.json").code == 0
    assert tree(DEST) == OBJECTS


def test_plan_with_something_to_download_is_7_if_asked_for(store: MemoryStore, run: Run) -> None:
    """And 0 if nothing is."""
    assert run("plan", "--exit-code") == Ran(7, run("plan").out, "")
    assert run("plan", "--exit-code", "--json").events[-1]["left"] == ["3 to download"]
    assert run("plan", "-q", "--exit-code", "1hz/") == Ran(7, "", "")
    assert run("plan", "--exit-code", "--exclude", "*").code == 0
    run("sync")
    assert run("plan", "--exit-code").code == 0


def test_destination_of_another_run_is_6(store: MemoryStore, run: Run) -> None:
    """The message names the process that holds the lock; a plan needs no lock."""
    with Folder(DEST).writing():
        ran = run()
        assert run("plan").code == 0
    assert ran.code == 6
    assert f"process {os.getpid()}" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_the_run(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The exit code is 128 plus the signal's number, and no unfinished file is left."""
    monkeypatch.setattr(signals, "GRACE", 600)  # or a busy machine ends the process of the tests

    def send() -> None:
        os.kill(os.getpid(), number)

    store.always("get", "1hz/b.parquet", Act(before=send, until=anyio.Event()))
    ran = run()
    assert ran.code == 128 + number
    said = rf"stopped: \d B( of 7 B)? kept; run again to go on \(exit code {128 + number}\)"
    assert re.fullmatch(f"asyncsync: {said}", ran.err.splitlines()[-1])
    assert not ran.out.splitlines()[-1].startswith("0 downloaded")
    assert "1hz/b.parquet" not in tree(DEST)
    assert unfinished(DEST) == []


# settings ---------------------------------------------------------------------------------------


def test_settings_come_from_the_env_file(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read from `./.env` unless `--env-file` names another file."""
    for name in ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT_URL", "R2_BUCKET"):
        monkeypatch.delenv(name)
    lines = [
        f"R2_ACCESS_KEY_ID={MEMORY.access_key_id}",
        f"export R2_SECRET_ACCESS_KEY='{MEMORY.credentials.secret_access_key.reveal()}'",
        f'R2_ENDPOINT_URL="{MEMORY.endpoint_url}/sensors/"',
        f"R2_BUCKET={MEMORY.bucket}  # the bucket",
    ]
    Path("my.env").write_text("\n".join(lines))
    assert run("plan", "--env-file", "my.env").code == 0
    assert run("plan").code == 2
    Path("my.env").rename(".env")
    assert run("plan").code == 0


@pytest.mark.row(154)
def test_credentials_for_an_endpoint_from_elsewhere_are_told_of(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is right more often than not, so only `--verbose` says it."""
    monkeypatch.delenv("R2_ENDPOINT_URL")
    Path(".env").touch(mode=0o600)
    Path(".env").write_text(f"R2_ENDPOINT_URL={MEMORY.endpoint_url}\n")
    told = "asyncsync: R2_ENDPOINT_URL comes from .env, but R2_ACCESS_KEY_ID from the environment"
    assert run("plan", "--verbose").err.startswith(told)
    assert "R2_ENDPOINT_URL" not in run("plan").err
    assert "R2_ENDPOINT_URL" not in run("plan", "--verbose", "--quiet").err


def test_process_ends_as_python_does() -> None:
    """What is registered for the end is done, as a measurement of coverage wants it."""
    program = """
import atexit
from asyncsync.__main__ import process
atexit.register(print, "at the end")
process()
"""
    command = [sys.executable, "-c", program, "--keep"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "at the end\n")

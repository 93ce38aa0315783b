"""`--report FILE`: what became of each object, in a file."""

import json
from pathlib import Path

import pytest

from asyncsync.errors import AuthError, DestinationError, ServerError
from tests.rigs.called import OBJECTS, Run
from tests.rigs.memory_store import Act, MemoryStore

FILE = Path("new.jsonl")


def outcomes() -> dict[str, str]:
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    return {row["key"]: row["outcome"] for row in rows}


def test_report_has_each_object_that_is_new_or_failed(run: Run, store: MemoryStore) -> None:
    """With or without JSON on standard output, which stays as it is."""
    (failing, *_) = OBJECTS
    store.always("get", failing, Act(error=ServerError("500")))
    ran = run("--report", str(FILE), "--attempts", "1", "--json")
    expected = dict.fromkeys(OBJECTS, "downloaded") | {failing: "failed"}
    assert outcomes() == expected
    assert json.loads(ran.out.splitlines()[-1])["exit_code"] == ran.code == 1
    store.behave()
    assert run("--report", str(FILE)).code == 0
    assert outcomes() == {failing: "downloaded"}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["new.xlsx", "missing/new.csv", "folder.csv"])
def test_report_that_cannot_be_written_is_a_usage_error(
    run: Run, store: MemoryStore, name: str
) -> None:
    """Before any request and any output."""
    Path("folder.csv").mkdir()
    ran = run("--report", name, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.replace("'", "").startswith(f"asyncsync: --report: {name}")
    assert store.requests == []


def test_report_replaces_no_file_of_the_run(run: Run, store: MemoryStore) -> None:
    """One that a glob takes, that is in a list, or any in the destination of a plan."""
    file = Path("downloads/root.parquet")
    Path("keys.txt").write_text("root.parquet")
    Path("plan.json").write_text(run("plan", "--json").out)
    assert run().code == 0
    number = len(store.requests)
    for args in ([str(file)], [str(file), "--files-from", "keys.txt"], ["downloads/new.jsonl"]):
        with_plan = ["--plan", "plan.json"] if args == ["downloads/new.jsonl"] else []
        ran = run("--report", *args, *with_plan)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.endswith("count as a file of the bucket; name one beside the destination\n")
    assert file.read_bytes() == OBJECTS["root.parquet"]
    assert len(store.requests) == number
    assert run("--report", "downloads/new.jsonl").code == 0


@pytest.mark.usefixtures("store")
def test_report_goes_with_sync_only(run: Run) -> None:
    """The others have no new files."""
    ran = run("plan", "--report", str(FILE))
    assert (ran.code, ran.err) == (2, "asyncsync: --report: goes with sync, not with plan\n")


def test_run_that_ends_early_leaves_its_report(run: Run, store: MemoryStore) -> None:
    """Of what was done until then."""
    store.page_size = 2
    store.on("list", "", Act(), *[Act(error=AuthError("no"))] * 3)
    assert run("--report", str(FILE)).code == 4
    assert outcomes() == {"1hz/a.parquet": "downloaded"}


def put_a_folder_in_its_way() -> None:
    FILE.mkdir(exist_ok=True)


def test_report_that_is_lost_is_told(run: Run, store: MemoryStore) -> None:
    """The files are there, and the exit code is that of a disk that cannot be written."""
    store.always("list", "", Act(before=put_a_folder_in_its_way))
    ran = run("--report", str(FILE))
    assert ran.code == DestinationError.exit_code
    assert "report: new.jsonl cannot be written: Is a directory; name another file" in ran.err
    assert "--dest" not in ran.err
    assert f"{len(OBJECTS)} downloaded" in ran.out
    assert [*FILE.iterdir()] == []


def test_lost_report_of_a_failed_run_is_told_as_well(run: Run, store: MemoryStore) -> None:
    """Also if the run is to be quiet; the exit code is that of what ended it."""
    store.always("list", "", Act(before=put_a_folder_in_its_way, error=AuthError("no")))
    ran = run("--report", str(FILE), "--quiet")
    assert ran.code == 4
    assert "report: new.jsonl cannot be written" in ran.err

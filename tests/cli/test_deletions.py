"""What the command line says of files that are deleted, and of those that are not."""

import json
import os
from pathlib import Path

import pytest

from tests.rigs.called import OBJECTS, Run
from tests.rigs.memory_store import MemoryStore
from tests.rigs.watch import tree

DEST = Path("downloads")
KEY = min(OBJECTS)


@pytest.fixture
def gone(store: MemoryStore, run: Run) -> MemoryStore:
    """A bucket that was synced, and that has lost an object since."""
    assert run().code == 0
    store.delete(KEY)
    return store


@pytest.mark.usefixtures("gone")
def test_plan_names_the_files_that_would_go(run: Run) -> None:
    """With --verbose each; the last line counts them, and nothing is changed."""
    before = tree(DEST)
    ran = run("plan", "--delete", "--max-delete", "1", "-v")
    assert f"delete: {KEY} (1 B)" in ran.out.splitlines()
    assert "1 to delete (1 B)" in ran.out.splitlines()[-1]
    ran = run("plan", "--delete")
    assert f"delete: {KEY}" not in ran.out
    assert "would delete nothing: 1 of" in ran.err
    assert ran.code == 0
    assert tree(DEST) == before


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", ["ls", "du", "verify", "get 1hz/b.parquet -"])
def test_commands_that_delete_nothing_go_with_any_size(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Also where the environment asks each sync to delete."""
    assert run().code == 0
    monkeypatch.setenv("ASYNCSYNC_DELETE", "yes")
    monkeypatch.setenv("ASYNCSYNC_MIN_SIZE", "1")
    assert run(*command.split()).code == 0
    assert run("plan").code == 2


@pytest.mark.usefixtures("gone")
def test_something_to_delete_is_something_to_do(run: Run) -> None:
    """So `plan --exit-code` ends with 7, but only where a sync would delete it."""
    assert run("plan", "--exit-code").code == 0
    assert run("sync", "-n", "--exit-code", "--delete", "--max-delete", "1").code == 7
    ran = run("plan", "--exit-code", "--delete", "--max-delete", "1", "--json")
    assert ran.events[-1]["left"] == ["1 to delete"]


@pytest.mark.usefixtures("gone")
def test_sync_names_the_files_that_go(run: Run) -> None:
    """And those that stay, with --verbose; the log names what has gone in any case."""
    (DEST / "mine.parquet").write_bytes(b"mine")
    ran = run("--delete", "--max-delete", "1", "-v", "--log-file", "log")
    assert ran.code == 0
    assert f"deleted: {KEY} (1 B)" in ran.out.splitlines()
    assert "kept: mine.parquet: not made by asyncsync, or changed here" in ran.out.splitlines()
    last = ran.out.splitlines()[-1]
    assert "1 deleted (1 B), 1 kept (not made by asyncsync, or changed here), in" in last
    assert f"deleted: {KEY}" in Path("log").read_text()
    ran = run("--delete", "-q")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.row(186)
@pytest.mark.usefixtures("gone")
def test_deletions_that_are_held_back_end_with_7(run: Run) -> None:
    """Also with --quiet, a line says why, and what to set; JSON has it as `left`."""
    before = tree(DEST)
    for quiet in ((), ("-q",)):
        ran = run("--delete", *quiet)
        assert ran.code == 7
        assert "nothing was deleted: 1 of" in ran.err
        assert "set --max-delete 1" in ran.err
    ran = run("--delete", "--json")
    assert ran.code == json.loads(ran.out.splitlines()[-1])["exit_code"] == 7
    assert tree(DEST) == before


@pytest.mark.usefixtures("gone")
def test_plan_with_deletions_can_be_applied(run: Run) -> None:
    """The sync fetches what it names, and deletes nothing."""
    os.remove(DEST / sorted(OBJECTS)[1])
    ran = run("plan", "--delete", "--json")
    Path("plan.json").write_text(ran.out)
    assert [json.loads(line)["event"] for line in ran.out.splitlines()].count("delete") == 1
    ran = run("sync", "--plan", "plan.json")
    assert (ran.code, sorted(tree(DEST))) == (0, sorted(OBJECTS))
    ran = run("sync", "--plan", "plan.json", "--delete")
    assert ran.code == 2
    assert "delete: a plan lists nothing" in ran.err

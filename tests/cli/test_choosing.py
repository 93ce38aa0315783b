"""What chooses objects on the command line: lists on standard input, hints, limits of a plan."""

import io
import sys
from pathlib import Path

import pytest

from tests.rigs.called import Run
from tests.rigs.memory_store import MemoryStore
from tests.rigs.watch import tree

pytestmark = pytest.mark.usefixtures("store")


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_list_may_come_on_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of that name has a path of its own: `./-`."""
    type_in(monkeypatch, b"1hz/b.parquet\nnone\n")
    ran = run("sync", "--files-from", "-")
    assert (ran.code, ran.err) == (3, "skipped: none: not in the bucket\n")
    assert tree(Path("downloads")).keys() == {"1hz/b.parquet"}
    Path("-").write_text("root.parquet\n")
    assert run("--files-from", "./-").code == 0
    assert tree(Path("downloads")).keys() == {"1hz/b.parquet", "root.parquet"}


def test_listed_folder_brings_a_hint(run: Run) -> None:
    """It is no key, but may be a prefix."""
    Path("list").write_text("1hz/\n")
    ran = run("plan", "--files-from", "list")
    assert ran.code == 3
    assert ran.err == (
        "skipped: 1hz/: not in the bucket; give the PREFIX of a folder as an argument\n"
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--files-from", "none"), "--files-from: none: No such file or directory"),
        (
            ("--files-from", "list", "--include", "*"),
            "--include: a list of keys says what",
        ),
        (("--files-from", "list", "fft/"), "--files-from: 1hz/a.parquet does not begin with fft/"),
        (
            ("--files-from", "list", "--plan", "p"),
            "--files-from: a plan already says what",
        ),
        (("--max-size", "1M", "--plan", "p"), "--max-size: a plan already says what to fetch"),
        (("--newer-than", "soon"), "--newer-than: 'soon' is neither off, an age such as 30d"),
        (("--max-size", "20X"), "--max-size: '20X' is neither off nor a size such as 500k"),
    ],
)
def test_choice_that_is_a_mistake_sends_no_request(
    store: MemoryStore, run: Run, options: tuple[str, ...], why: str
) -> None:
    """The exit code is 2, and the message names the option."""
    Path("list").write_text("1hz/a.parquet\n")
    ran = run(*options)
    assert (ran.code, store.requests) == (2, [])
    assert ran.err.startswith(f"asyncsync: {why}")


def test_hint_is_told_once(run: Run) -> None:
    """Why nothing is selected, by `--quiet` as well; the summary says it in the end."""
    ran = run("--exclude", "*", "--include", "1hz/*", "--quiet")
    assert ran.code == 0
    assert ran.out == ""
    assert ran.err.startswith("nothing to sync in the bucket: --exclude '*' leaves out every key,")
    assert len(ran.err.splitlines()) == 1
    summary = run("plan", "--exclude", "*").out.splitlines()[-1]
    assert "all 3 objects left out (--exclude '*' leaves out every key," in summary


def test_plan_says_how_many_objects_a_limit_leaves_out(run: Run) -> None:
    """In the table and in the summary."""
    lines = run("plan", "--min-size", "2").out.splitlines()
    assert lines[1].endswith("left out")
    assert ", 1 left out" in lines[-1]

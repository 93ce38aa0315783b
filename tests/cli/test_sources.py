"""`--source`: runs of sources that have names."""

import signal
from pathlib import Path

import pytest

from asyncsync.cli.arguments import parse_arguments
from asyncsync.cli.options import COMMANDS
from asyncsync.cli.signals import Watch
from asyncsync.cli.sources import run_sources
from asyncsync.errors import AuthError, VanishedError
from asyncsync.settings import Named
from tests.rigs.called import Run
from tests.rigs.memory_store import MEMORY, Act, MemoryStore

FILE = Path("asyncsync.toml")
TWO = """
[hz]
prefixes = ["1hz/"]
dest = "hz"
[root]
include = "root*"
dest = "root"
"""


@pytest.fixture(autouse=True)
def _file(store: MemoryStore) -> None:
    FILE.write_text(TWO)


def names(folder: str) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(path.name for path in Path(folder).rglob("*.parquet"))


def test_source_says_what_comes_where(run: Run) -> None:
    """Without more words."""
    assert run("--source", "hz").code == 0
    assert names(".") == names("hz") == ["a.parquet", "b.parquet"]


def test_arguments_win_over_the_source(run: Run) -> None:
    """Prefixes, options and the folder."""
    assert run("root", "--source", "hz", "--dest", "other").code == 0
    assert names(".") == names("other") == ["root.parquet"]


@pytest.mark.parametrize("arguments", [["all"], ["root", "--source", "hz"]])
def test_several_sources_are_run_one_after_the_other(run: Run, arguments: list[str]) -> None:
    """Each with its own report."""
    ran = run("--json", "--source", *arguments)
    assert ran.code == 0
    kinds = [event["event"] for event in ran.events]
    assert [kind for kind in kinds if kind != "downloaded"] == ["start", "summary"] * 2
    assert (names("hz"), names("root")) == (["a.parquet", "b.parquet"], ["root.parquet"])


def test_plan_and_verify_take_sources(run: Run) -> None:
    """As a sync does."""
    assert run("--source", "all").code == 0
    assert run("verify", "--source", "all").out.count(" verified, ") == 2
    assert run("plan", "--source", "all").out.count("0 to download ") == 2


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"demo", "help", "get", "doctor"}))
def test_each_command_takes_several_sources(run: Run, command: str) -> None:
    """Also those that have no `--quiet` and no `--verbose`; above each stands its name."""
    assert run("--source", "all").code == 0
    ran = run(command, "--source", "all")
    assert "[hz]\n" in ran.out
    assert "[root]\n" in ran.out
    assert ran.code == 0
    assert "[" not in run(command, "--source", "all", "--json").out[:1]


def test_worst_exit_code_counts_and_the_others_are_run(run: Run, store: MemoryStore) -> None:
    """A line says which source it was, with `--quiet` as well."""
    store.on("list", "1hz/", Act(error=AuthError("expired")))
    store.always("get", "root.parquet", Act(error=VanishedError("root.parquet", "deleted")))
    ran = run("--quiet", "--source", "all")
    assert ran.code == 4
    assert ran.err.splitlines() == [
        "asyncsync: expired (exit code 4)",
        "asyncsync: source hz: exit code 4",
        "skipped: root.parquet: deleted",
        "asyncsync: source root: exit code 3",
    ]


def test_wrong_setting_of_one_source_is_told_with_its_name(run: Run) -> None:
    """The other is run all the same."""
    FILE.write_text(TWO.replace('dest = "hz"', 'dest = "hz"\nbucket = "a/b"'))
    ran = run("--quiet", "--source", "all")
    assert ran.code == 2
    assert ran.err.startswith("asyncsync: [hz] of asyncsync.toml: the source's bucket: not the")
    assert names("root") == ["root.parquet"]
    ran = run("--source", "hz")
    assert (ran.code, ran.err.startswith("asyncsync: [hz] of asyncsync.toml: ")) == (2, True)


@pytest.mark.parametrize("argument", ["--dest", "--bucket", "--plan"])
def test_argument_for_one_source_is_refused_for_several(run: Run, argument: str) -> None:
    """All would go to one folder, for instance."""
    ran = run("--source", "all", argument, "x")
    assert (ran.code, ran.err) == (
        2,
        f"asyncsync: {argument}: goes with one source; --source names 2\n",
    )


def test_bucket_in_an_argument_is_refused_for_several(run: Run, store: MemoryStore) -> None:
    """All would bring that one, each into its own folder."""
    for words in ([f"s3://{MEMORY.bucket}/1hz/"], [f"s3://{MEMORY.bucket}", "x"]):
        ran = run(*words, "--source", "all")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == f"asyncsync: {words[0]}: goes with one source; --source names 2\n"
    assert store.requests == []


def test_bucket_in_an_argument_is_that_of_the_source(run: Run) -> None:
    """Another would come into the folder of the source."""
    FILE.write_text(TWO.replace('dest = "hz"', 'dest = "hz"\nbucket = "other"'))
    ran = run(f"s3://{MEMORY.bucket}/1hz/", "--source", "hz")
    said = f"the source's bucket: another than in s3://{MEMORY.bucket}; name it once"
    assert (ran.code, ran.err) == (2, f"asyncsync: [hz] of asyncsync.toml: {said}\n")


def test_list_from_standard_input_is_refused_for_several(run: Run, store: MemoryStore) -> None:
    """The first source would read it to its end, and the second find an empty list."""
    ran = run("--source", "all", "--files-from", "-")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "asyncsync: --files-from: standard input can be read once, and --source names 2; name a "
        "file\n"
    )
    assert store.requests == []


def test_list_takes_the_place_of_the_globs_of_a_source(run: Run) -> None:
    """As it does with those of the environment."""
    Path("list").write_text("root.parquet\n")
    assert run("--source", "root", "--files-from", "list").code == 0
    assert names("root") == ["root.parquet"]


def test_mistyped_source_beside_all_is_told(run: Run, store: MemoryStore) -> None:
    """Nobody should think that it was run."""
    ran = run("--source", "all", "--source", "roto")
    said = "asyncsync: no source [roto] in asyncsync.toml; did you mean root?\n"
    assert (ran.code, ran.err, store.requests) == (2, said, [])


@pytest.mark.parametrize(
    ("codes", "worst"),
    [([0, 7], 7), ([7, 3], 3), ([1, 5], 5), ([4, 2], 2), ([6, 2], 6), ([0, 0], 0)],
)
def test_worst_code_is_that_of_the_table(codes: list[int], worst: int) -> None:
    """As in docs/reliability.md, where several apply."""
    ends = iter(codes)
    assert run_sources(lambda _: next(ends), parse_arguments(["--source", "all"]), Watch()) == worst


def test_signal_keeps_the_other_sources_from_being_run() -> None:
    """Its exit code is the one of the command."""
    watch = Watch()

    def run_one(_: Named) -> int:
        watch.caught.append(signal.SIGINT)
        return 130

    assert run_sources(run_one, parse_arguments(["--source", "all"]), watch) == 130
    assert len(watch.caught) == 1

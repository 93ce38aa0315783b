"""The arguments: which command they name, and which options go with it."""

from pathlib import Path

import pytest

from asyncsync.cli.arguments import given_options, parse_arguments
from asyncsync.cli.options import OPTIONS
from asyncsync.errors import ConfigError
from tests.rigs.called import Ran, Run
from tests.rigs.memory_store import MemoryStore, use_memory
from tests.rigs.watch import tree

SYNC_OPTIONS = {name for option in OPTIONS if option.is_accepted("sync") for name in option.names}
NOT_FOR = {
    "plan": {"--plan", "--report"},
    "verify": {"--plan", "-n", "--dry-run", "--report"},
    "doctor": {"--plan", "-n", "--dry-run", "--report"},
}
"""Options of a sync that another command cannot do without a change of what it means."""


# command and prefixes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command", "prefixes"),
    [
        ("", "sync", []),
        ("1hz/", "sync", ["1hz/"]),
        ("sync", "sync", []),
        ("sync 1hz/ root", "sync", ["1hz/", "root"]),
        ("plan", "plan", []),
        ("--json plan", "plan", []),
        ("--dest x plan 1hz/", "plan", ["1hz/"]),
        ("--dest=x plan 1hz/", "plan", ["1hz/"]),
        ("-q --workers 3 verify", "verify", []),
        ("verify --deep 1hz/", "verify", ["1hz/"]),
        ("--deep verify", "verify", []),
        ("--plan plan", "sync", []),
        ("--dest doctor", "sync", []),
        ("--dest plan plan", "plan", []),
        ("sync plan", "sync", ["plan"]),
        ("plan plan verify", "plan", ["plan", "verify"]),
        ("1hz/ plan", "sync", ["1hz/", "plan"]),
        ("a --json b --dest x c", "sync", ["a", "b", "c"]),
        ("plan a --json b", "plan", ["a", "b"]),
        ("-- -x", "sync", ["-x"]),
        ("plan -- -x --json", "plan", ["-x", "--json"]),
        ("a --json -- -x -- b", "sync", ["a", "-x", "--", "b"]),
        ("-- plan", "plan", []),
        ("-- sync plan", "sync", ["plan"]),
        ("-1 plan", "sync", ["-1", "plan"]),
        ("- plan", "sync", ["-", "plan"]),
        ("demo --keep", "demo", []),
        ("--keep demo", "demo", []),
    ],
)
def test_command_is_the_first_word_if_it_names_one(
    line: str, command: str, prefixes: list[str]
) -> None:
    """Options may stand anywhere; all other words are prefixes of a sync."""
    arguments = parse_arguments(line.split())
    assert (arguments.command, arguments.prefixes) == (command, prefixes)


def test_empty_word_and_word_with_a_space_are_prefixes() -> None:
    """That holds also for a word that begins like an option, as in argparse."""
    assert parse_arguments(["-a key", "", "plan"]).prefixes == ["-a key", "", "plan"]


def test_arguments_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are used unless others are passed."""
    monkeypatch.setattr("sys.argv", ["asyncsync", "plan", "1hz/"])
    assert parse_arguments().prefixes == ["1hz/"]


def test_options_keep_their_values_wherever_they_stand() -> None:
    """They may stand before the command, behind it, and between prefixes."""
    lines = (
        "--dest x --json -v plan a b",
        "plan --dest x a -v b --json",
        "plan a b -v --json --dest=x",
    )
    found = [vars(parse_arguments(line.split())) for line in lines]
    assert found[0] == found[1] == found[2]
    assert (found[0]["dest"], found[0]["json"], found[0]["verbose"]) == ("x", True, True)
    assert parse_arguments(["-qv"]).quiet


@pytest.mark.parametrize(
    "line",
    [
        "--request-payer 1hz/",
        "1hz/ --request-payer",
        "--request-payer requester 1hz/",
        "--request-payer=requester 1hz/",
    ],
)
def test_payer_can_be_named_as_in_other_tools(line: str) -> None:
    """It can be nobody but the requester."""
    arguments = parse_arguments(line.split())
    assert arguments.request_payer is True
    assert arguments.prefixes == ["1hz/"]


def test_prefixes_select_what_a_command_works_on(store: MemoryStore, run: Run) -> None:
    """They do so with and without the name of the command."""
    assert run("sync", "--quiet", "1hz/a", "root").code == 0
    assert sorted(tree(Path("downloads"))) == ["1hz/a.parquet", "root.parquet"]
    assert run("1hz/", "--dest", "other").code == 0
    assert sorted(tree(Path("other"))) == ["1hz/a.parquet", "1hz/b.parquet"]


# s3://bucket/prefix ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command", "prefixes", "dest"),
    [
        ("s3://b/1hz/", "sync", ["s3://b/1hz/"], None),
        ("s3://b/1hz/ here", "sync", ["s3://b/1hz/"], "here"),
        ("sync s3://b/1hz/ --json here", "sync", ["s3://b/1hz/"], "here"),
        ("plan s3://b --dest here", "plan", ["s3://b"], "here"),
        ("verify --deep s3://b/ .", "verify", ["s3://b/"], "."),
        ("doctor s3://b/ here", "doctor", ["s3://b/"], "here"),
        ("s3://b/ plan", "sync", ["s3://b/"], "plan"),
    ],
)
def test_word_behind_a_source_is_the_destination(
    line: str, command: str, prefixes: list[str], dest: str | None
) -> None:
    """As other tools write it; options may stand anywhere."""
    found = parse_arguments(line.split())
    assert (found.command, found.prefixes, found.dest) == (command, prefixes, dest)


def test_empty_destination_behind_a_source_is_not_the_default() -> None:
    """It comes from a variable that is not set."""
    arguments = parse_arguments(["s3://b/", ""])
    with pytest.raises(ConfigError, match="--dest"):
        given_options(arguments)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("s3://a/ s3://b/", "s3://b/: one too many"),
        ("s3://a/ here there", "there: one too many"),
        ("s3://a/ here s3://b/", "s3://b/: one too many"),
        ("1hz/ s3://a/", "1hz/: does not go with an s3:// argument"),
        ("s3://a/ here --dest there", "--dest: the folder is here already"),
        ("s3://", "s3://: names no bucket"),
        ("s3://other/b --strip-prefix", "--strip-prefix: b is not a whole folder; write b/"),
        ("1hz/ 2hz/ --strip-prefix", "--strip-prefix: goes with one prefix"),
        ("s3://../", "s3://..: not the name of a bucket"),
    ],
)
@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
def test_source_goes_with_one_destination_and_nothing_else(
    store: MemoryStore, run: Run, command: str, line: str, says: str
) -> None:
    """That is an error of usage, before any request."""
    ran = run(command, *line.split())
    assert (ran.code, ran.out, store.requests) == (2, "", [])
    assert ran.err.startswith(f"asyncsync: {says}")
    assert ran.err.count("\n") == 1


def test_source_takes_the_place_of_the_bucket_in_the_settings(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands show it, and work on it and on the folder behind it."""
    use_memory(monkeypatch, store, "other")
    assert run("plan", "s3://other/1hz/", "here").out.startswith("plan: other at https://")
    assert run("s3://other/1hz/", "here").code == 0
    assert sorted(tree(Path("here"))) == ["1hz/a.parquet", "1hz/b.parquet"]
    assert run("verify", "s3://other/1hz/", "here").code == 0


def test_encoded_paths_are_planned_kept_in_the_plan_and_verified(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is shown; a sync of the plan's file encodes what the plan does, without the option."""
    store.put("1hz//c.parquet", b"ccc")
    assert "1hz//c.parquet: a '/' stands first, or beside another" in run("plan").err
    given = ("--odd-keys", "encode")
    arrow = "missing: 1hz//c.parquet -> 1hz/%~/c.parquet (3 B)"
    assert [line for line in run("plan", *given).out.splitlines() if " -> 1hz" in line] == [arrow]
    assert {arrow, "missing: 1hz/a.parquet (1 B)"} < {*run("plan", *given, "-v").out.splitlines()}
    planned = run("plan", *given, "--json")
    assert planned.events[0]["odd_keys"] == "encode"
    paths = {e["key"]: e.get("path") for e in planned.events if e["event"] == "transfer"}
    assert {path for path in paths.values() if path} == {"1hz/%~/c.parquet"}
    Path("plan.json").write_text(planned.out)
    assert "1hz/%~/c.parquet" in run("sync", "--plan", "plan.json", "-v").out
    assert tree(Path("downloads"))["1hz/%~/c.parquet"] == b"ccc"
    assert run("verify", *given).code == 0
    monkeypatch.setenv("ASYNCSYNC_ODD_KEYS", "encode")
    assert run("verify").code == 0
    refused = run("sync", "--plan", "plan.json", *given)
    assert (refused.code, "asyncsync: --odd-keys: a plan already says" in refused.err) == (2, True)
    assert run("--odd-keys", "fold").err.startswith(
        "asyncsync: --odd-keys: 'fold' is not one of skip, encode"
    )


def test_stripped_prefix_is_planned_kept_in_the_plan_and_verified(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync of the plan's file strips what the plan does, and needs no option for it."""
    use_memory(monkeypatch, store, "other")
    given = ("s3://other/1hz/", "here", "--strip-prefix")
    planned = run("plan", *given, "--json")
    assert planned.events[0]["stripped"] == "1hz/"
    Path("plan.json").write_text(planned.out)
    monkeypatch.setenv("R2_BUCKET", "other")
    assert run("sync", "--plan", "plan.json", "--dest", "here").code == 0
    assert tree(Path("here")) == {"a.parquet": b"a", "b.parquet": b"bb"}
    assert run(*given).out.splitlines()[-1].startswith("0 downloaded, 2 up to date")
    assert run("verify", *given).code == 0
    refused = run("sync", "--plan", "plan.json", "--dest", "here", "--strip-prefix")
    assert (refused.code, "--strip-prefix: a plan already says" in refused.err) == (
        2,
        True,
    )
    other = run("sync", "s3://other/", "here")
    assert other.code == 2
    assert "here: holds 1hz/ without that prefix; use --strip-prefix" in other.err


# options ----------------------------------------------------------------------------------------


def line_with(option: str) -> list[str]:
    """Return an option as it would be written, with a value if it takes one."""
    values = {
        "--attempts": "3",
        "--read-timeout": "3",
        "--workers": "3",
        "--max-workers": "3",
        "--processes": "3",
        "--limit-rate": "1M",
        "--max-duration": "2h",
    }
    values |= {"--validate": "head", "--compare": "size"}
    values |= dict.fromkeys(("--newer-than", "--older-than", "--since"), "2026-11-01")
    values |= dict.fromkeys(("--min-size", "--max-size"), "1M")
    values["--addressing"] = "path"
    values |= {"--odd-keys": "encode", "--max-delete": "5%", "--shard": "2/8"}
    takes_value = any(known.metavar for known in OPTIONS if option in known.names)
    return [option, *[values.get(option, "x")] * takes_value]


@pytest.mark.parametrize("command", ["sync", "plan", "verify", "doctor"])
def test_options_of_a_sync_go_with_plan_verify_and_doctor(command: str) -> None:
    """A sync can be planned, verified and examined with the options that it has."""
    ending = {"-h", "--help", "--version"}
    for name in SYNC_OPTIONS - ending - NOT_FOR.get(command, set()):
        arguments = parse_arguments([command, *line_with(name)])
        assert arguments.command == ("plan" if arguments.__dict__.get("dry_run") else command)
        given_options(arguments)


@pytest.mark.parametrize(
    ("command", "option", "right"),
    [
        ("sync", "--keep", "demo"),
        ("plan", "--keep", "demo"),
        ("sync", "--deep", "verify"),
        ("plan", "--deep", "verify"),
        ("plan", "--plan", "sync"),
        ("verify", "--plan", "sync"),
        ("doctor", "--plan", "sync"),
        ("demo", "--plan", "sync"),
        ("demo", "--deep", "verify"),
        ("demo", "--incremental", "sync and plan"),
        ("demo", "--json", "sync, plan, verify, doctor, ls and du"),
        ("demo", "-q", "sync, plan, verify, doctor and get"),
        ("verify", "-n", "sync"),
        ("doctor", "--dry-run", "sync"),
        ("demo", "-n", "sync"),
        ("sync", "--exit-code", "plan"),
    ],
)
def test_option_of_another_command_is_refused(
    store: MemoryStore, run: Run, command: str, option: str, right: str
) -> None:
    """The message names the commands it goes with; the order of the arguments does not matter."""
    said = f"asyncsync: {option}: goes with {right}, not with {command}\n"
    lines = [[command, *line_with(option)], [*line_with(option), command]]
    for line in (*lines, line_with(option)) if command == "sync" else lines:
        assert run(*line) == Ran(2, "", said)
    assert store.requests == []


def test_demo_takes_no_prefix() -> None:
    """It syncs its own bucket, and all of it."""
    for line in (["demo", "1hz/"], ["demo", "--", "1hz/"], ["--keep", "demo", "1hz/"]):
        with pytest.raises(ConfigError, match=r"^demo: takes no PREFIX, and so not 1hz/$"):
            parse_arguments(line)


def test_demo_has_a_destination_of_its_own() -> None:
    """Its sample data must not get among the files of a real sync."""
    assert parse_arguments(["demo"]).dest == "downloads-demo"
    assert parse_arguments(["demo", "--dest", "x"]).dest == "x"
    assert parse_arguments([]).dest is None


@pytest.mark.parametrize("line", ["--dest", "plan --dest", "--dest --json", "demo --dest"])
def test_option_without_its_value_is_refused(run: Run, line: str) -> None:
    """The next option does not count as the value."""
    ran = run(*line.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "asyncsync: --dest: its value is missing; write --dest DIR\n"


@pytest.mark.parametrize("line", ["--json=3", "plan --exit-code=7", "-n=1", "verify --quiet="])
def test_option_with_a_value_that_it_does_not_take_is_refused(run: Run, line: str) -> None:
    """Nothing is made of the value."""
    ran = run(*line.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(": takes no value; write it alone\n")


def test_short_options_have_their_usual_meaning(store: MemoryStore, run: Run) -> None:
    """-q is --quiet, and -v is --verbose."""
    assert "missing: root.parquet (4 B)" in run("plan", "-v").out
    assert run("-q") == Ran(0, "", "")


# dry run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-n", "--dry-run", "--dryrun"])
@pytest.mark.parametrize("line", ["", "sync", "1hz/ --json", "plan", "sync -q s3://sensors/1hz/ x"])
def test_dry_run_is_a_plan(line: str, option: str) -> None:
    """It is the same as `plan` in all that is read from the arguments, wherever it stands."""
    words = line.split()
    planned = parse_arguments(["plan", *(word for word in words if word not in {"sync", "plan"})])
    for argv in ([option, *words], [*words, option]):
        assert vars(parse_arguments(argv)) == {**vars(planned), "dry_run": True}


def test_dry_run_prints_and_ends_as_a_plan(store: MemoryStore, run: Run) -> None:
    """Nothing is downloaded."""
    assert run("-n", "1hz/") == run("plan", "1hz/")
    assert run("sync", "--dryrun", "--exit-code").code == 7
    assert not Path("downloads").exists()


def test_dry_run_of_a_plan_is_refused(store: MemoryStore, run: Run) -> None:
    """The plan says already what would be done."""
    said = "asyncsync: --plan: goes with sync, not with --dry-run\n"
    assert run("sync", "-n", "--plan", "x") == Ran(2, "", said)

"""Words and options that are mistakes: the message says what may have been meant."""

import pytest

from asyncsync.cli.arguments import parse_arguments
from asyncsync.cli.mistakes import _OPTIONS_ELSEWHERE, as_option
from asyncsync.cli.options import COMMANDS, OPTIONS
from asyncsync.errors import ConfigError
from tests.rigs.called import Ran, Run
from tests.rigs.memory_store import MemoryStore

# words ------------------------------------------------------------------------------------------


@pytest.mark.row(146)
@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("verfy", "did you mean verify?"),
        ("verifyy", "did you mean verify?"),
        ("plna", "did you mean plan?"),
        ("Plan", "did you mean plan?"),
        ("snyc", "did you mean sync?"),
        ("doktor", "did you mean doctor?"),
        ("demos", "did you mean demo?"),
        ("hlep", "did you mean help?"),
        ("cp", "did you mean sync?"),
        ("copy", "did you mean sync?"),
        ("mirror", "did you mean sync?"),
        ("download", "did you mean sync?"),
        ("check", "did you mean verify?"),
        ("list", "did you mean ls?"),
        ("size", "did you mean du?"),
        ("mv", "asyncsync only downloads, and changes nothing in the bucket"),
        ("rm", "asyncsync only downloads, and changes nothing in the bucket"),
        ("configure", "the settings come from .env or the environment: see .env.example"),
    ],
)
def test_first_word_that_resembles_a_command_is_2(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch, word: str, hint: str
) -> None:
    """It needs no settings and sends no request; the likely command is named."""
    monkeypatch.delenv("R2_BUCKET")
    said = f"asyncsync: no such command: {word}; {hint} (a prefix: `asyncsync sync {word}`)\n"
    for line in ([word], [word, "1hz/"], ["--json", word], ["--dest", "x", word, "-q"]):
        assert run(*line) == Ran(2, "", said)
    assert store.requests == []


def test_tool_of_another_name_is_told_apart_from_its_source() -> None:
    """What follows the word does not hide it."""
    for line in (["cp", "s3://a/b", "c"], ["s3", "sync", "s3://a/b", "c"]):
        with pytest.raises(ConfigError, match=f"^no such command: {line[0]}; did you mean sync"):
            parse_arguments(line)


@pytest.mark.row(146)
@pytest.mark.parametrize(
    "line",
    [
        *("1hz/", "raw_hub1", "verify/", "plan/a", "plan2", "plan-b", "root", "data", "daily"),
        *("sync verfy", "plan verfy", "-- verfy", "--json -- verfy", "1hz/ verfy", "vrfy-x"),
    ],
)
def test_word_that_may_begin_keys_is_a_prefix(line: str) -> None:
    """So is whatever follows a command, another word, or `--`."""
    prefixes = parse_arguments(line.split()).prefixes
    assert prefixes == [w for w in line.split() if w not in {"sync", "plan", "--", "--json"}]


@pytest.mark.row(146)
@pytest.mark.parametrize(
    ("prefix", "hint"),
    [
        ("snyc", "did you mean the command sync?"),
        ("gs://sensors/1hz/", "with the bucket, write s3://BUCKET/PREFIX"),
        ("sensors/1hz/", "sensors is the bucket: did you mean s3://sensors/1hz/?"),
        ("sensors", "sensors is the bucket: did you mean s3://sensors?"),
        ("/1hz/", "a prefix is the beginning of a key"),
        ("./1hz/", "a prefix is the beginning of a key"),
        ("1hz/*.parquet", "use --include for globs"),
        ("s3:/sensors", "with the bucket, write s3://BUCKET/PREFIX"),
        (".", "to sync into the folder of that name, write --dest ."),
    ],
)
def test_prefix_that_is_something_else_brings_a_hint(
    store: MemoryStore, run: Run, prefix: str, hint: str
) -> None:
    """The warning about a prefix that matches nothing says what may have been meant."""
    ran = run("sync", prefix)
    assert ran.code == 3
    assert hint in ran.err
    assert ran.err.count("\n") == 1


# options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--worker=3 1hz/", "--worker; did you mean --workers?"),
        ("--wrokers 3", "--wrokers; did you mean --workers?"),
        ("--env_file x", "--env_file; did you mean --env-file?"),
        ("--max-w 3", "--max-w; did you mean --max-workers?"),
        ("demo --kep", "--kep; did you mean --keep?"),
        ("--dep verify", "--dep; did you mean --deep?"),
        ("plan --exitcode", "--exitcode; did you mean --exit-code?"),
        ("--size-only", "--size-only; use --compare size"),
        ("-c", "-c; use --compare hash"),
        ("--transfers=16", "--transfers; use --workers, which finds the best number by itself"),
        ("plan --bwlimit 5M", "--bwlimit; use --limit-rate"),
        ("--max-age 1d", "--max-age; use --newer-than"),
        ("--delete-removed", "--delete-removed; use --delete, which deletes when all else is done"),
        ("--colour", "--colour; `asyncsync sync --help` lists the options"),
        ("doctor --colour", "--colour; `asyncsync doctor --help` lists the options"),
        ("-x", "-x; `asyncsync sync --help` lists the options"),
    ],
)
def test_unknown_option_brings_a_hint(store: MemoryStore, run: Run, line: str, said: str) -> None:
    """It names one that is really near, what does the same here, or where all are."""
    assert run(*line.split()) == Ran(2, "", f"asyncsync: no such option: {said}\n")
    assert store.requests == []


def test_unknown_option_with_control_characters_is_shown_on_one_line(run: Run) -> None:
    """They would steer the terminal."""
    assert run("--\x1b[2J\n").err.count("\n") == 1


@pytest.mark.parametrize("option", ["--delete", "--exclude-from", "--detect", "--deeep-check"])
def test_no_far_option_is_guessed(store: MemoryStore, run: Run, option: str) -> None:
    """Somebody would take the advice: --dest in the place of --delete."""
    assert "did you mean" not in run(option).err


@pytest.mark.parametrize("command", ["", *(name for name in COMMANDS if name != "help")])
def test_options_are_not_abbreviated(run: Run, command: str) -> None:
    """A new option must not change what an old script means."""
    line = [command, "--hel"] if command else ["--hel"]
    assert run(*line) == Ran(2, "", "asyncsync: no such option: --hel; did you mean --help?\n")


def test_options_of_other_tools_are_not_those_of_a_sync() -> None:
    """What is said in their place names options that there are."""
    known = {name for option in OPTIONS if option.is_accepted("sync") for name in option.names}
    assert not known & _OPTIONS_ELSEWHERE.keys()
    named = {word.strip(",;`") for hint in _OPTIONS_ELSEWHERE.values() for word in hint.split()}
    assert {word for word in named if word.startswith("--")} <= known


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("max_size: is too large", "--max-size: is too large"),
        ("report: new.csv: is: bad", "--report: new.csv: is: bad"),
        ("ASYNCSYNC_DEST: is a file", "ASYNCSYNC_DEST: is a file"),
        ("get: names no object", "get: names no object"),
        ("dest", "dest"),
    ],
)
def test_argument_is_called_by_its_option(message: str, told: str) -> None:
    """Only where a message begins with its name."""
    assert as_option(message) == told

"""The help: of `asyncsync` itself, and of each command."""

import re
import shlex
import subprocess
import sys

import pytest

from asyncsync import __version__
from asyncsync.cli.arguments import parse_arguments
from asyncsync.cli.help import EXAMPLES, FIRST, make_parser
from asyncsync.cli.options import COMMANDS, GROUPS, OPTIONS
from tests.rigs.called import Ran, Run

SYNC_OPTIONS = {name for option in OPTIONS if option.is_accepted("sync") for name in option.names}


def options_in(text: str) -> set[str]:
    """Return the options that a help describes."""
    lines: list[str] = re.findall(r"^  (-.+?)(?:  |$)", text, re.MULTILINE)
    return {name for line in lines for name in re.findall(r"--?[a-z][a-z-]*", line)}


@pytest.mark.parametrize("line", ["--help", "get --help"])
def test_help_has_no_colours(run: Run, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Those of argparse would be there from Python 3.14 on, and mean something else."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert run(*line.split()).out.startswith("usage: asyncsync ")


@pytest.mark.parametrize("line", ["--help", "-h", "help", "help --json"])
def test_help_has_the_commands_the_first_options_and_the_exit_codes(run: Run, line: str) -> None:
    """Ten options are enough to begin with. No settings are needed."""
    ran = run(*line.split())
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("usage: asyncsync [COMMAND] [PREFIX ...] [options]\n")
    first = {name for option in OPTIONS for name in option.names if {*FIRST} & {*option.names}}
    assert len(FIRST) == 10
    ending = {"-h", "--help", "--version", "--print-completion"}
    assert options_in(ran.out) == first | ending
    for command, does in COMMANDS.items():
        assert f"\n  {command:<8}  {does}" in ran.out
    for word in ("129, 130, 143", "ASYNCSYNC_", "R2_BUCKET", "asyncsync COMMAND --help"):
        assert word in ran.out


@pytest.mark.parametrize(
    ("command", "has", "has_not"),
    [
        ("sync", {"--plan", "--durable", "--validate", "--dry-run"}, {"--deep", "--keep"}),
        ("plan", {"--verbose", "--exit-code"}, {"--plan", "--durable", "--validate", "--keep"}),
        ("verify", {"--deep", "--validate"}, {"--plan", "--durable", "--dry-run", "--keep"}),
        ("doctor", {"--workers", "--validate"}, {"--plan", "--no-progress", "--keep"}),
    ],
)
def test_command_has_its_own_help(run: Run, command: str, has: set[str], has_not: set[str]) -> None:
    """It has usage and options of that command alone, wherever `--help` stands."""
    ran = run(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(
        f"usage: asyncsync {command} [PREFIX ...] [options]\n"
        f"       asyncsync {command} s3://BUCKET[/PREFIX] [DEST] [options]\n"
    )
    shown = options_in(ran.out)
    assert shown > has | {"--dest", "--include", "--json", "-q", "-h"}
    assert not shown & {*has_not, "--version", "--print-completion"}
    assert "SIGTERM" not in ran.out
    assert run("-h", command, "1hz/") == ran
    assert run("help", command) == ran
    assert run("help", command, "1hz/", "--json") == ran


def test_demo_has_its_own_help(run: Run) -> None:
    """It has two options, and no prefix in its usage."""
    ran = run("demo", "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("usage: asyncsync demo [options]\n")
    assert options_in(ran.out) == {"--dest", "--keep", "-h", "--help"}
    assert "downloads-demo" in ran.out


def test_help_of_no_command_is_2(run: Run) -> None:
    """It names the likely one, or says where all are."""
    said = "asyncsync: no such command: plna; did you mean plan?\n"
    assert run("help", "plna") == Ran(2, "", said)
    said = "asyncsync: no such command: x/; `asyncsync help` lists them\n"
    assert run("help", "x/") == Ran(2, "", said)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_three_examples_that_can_be_read(command: str) -> None:
    """They name the command, take its arguments, and are not broken in 80 columns."""
    examples = EXAMPLES[command].splitlines()
    assert len(examples) == 3
    assert max(map(len, examples)) < 79
    for example in examples:
        for line in example.partition("#")[0].partition(">")[0].split("&&"):
            program, *arguments = shlex.split(line)
            assert program == "asyncsync"
            if "help" in arguments or "--help" in arguments:
                continue
            assert parse_arguments(arguments).command in {command or "sync", "plan", "sync"}
    assert not command or all(
        f"asyncsync {command}" in line or "--help" in line for line in examples
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_options_are_in_groups(run: Run, command: str) -> None:
    """Each group that has any has its title, in the order of the table."""
    out = run("help", *[command] * bool(command)).out
    titles = re.findall(r"^(\S.+):$", out, re.MULTILINE)
    known = [
        title
        for title, options in GROUPS.items()
        if any(option.is_shown(command) for option in options)
    ]
    assert [title for title in titles if title in GROUPS] == (known if command else [])


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_on_a_hundred_lines(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """An option's meaning is a line, or two at most; none is in a line of its own."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("help", *[command] * bool(command)).out.splitlines()
    assert len(lines) <= 100
    for at, line in enumerate(lines):
        assert not line.startswith(" " * 20) or not lines[at - 1].startswith(" " * 20)


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int, command: str
) -> None:
    """No line is wider than the terminal, which would break it within a word."""
    monkeypatch.setenv("COLUMNS", str(width))
    ran = run(*[command] * bool(command), "--help")
    assert ran.code == 0
    behind_usage = ran.out.partition("\n\n")[2]
    assert max(map(len, behind_usage.splitlines())) < width


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_and_version_import_hardly_anything(option: str) -> None:
    """Neither an event loop nor what a run is made of, which take longer than all the rest."""
    code = f"""
import sys
from asyncsync.cli import main

try:
    main([{option!r}])
finally:
    found = {{name.removeprefix("asyncsync.") for name in sys.modules}}
    print({{"api", "settings", "disk", "s3", "asyncio", "anyio", "ssl"}} & found, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "set()\n"


@pytest.mark.parametrize("line", ["--version", "plan --version", "--version demo"])
def test_version_is_printed(run: Run, line: str) -> None:
    """It is printed with and without a command."""
    assert run(*line.split()) == Ran(0, f"asyncsync {__version__}\n", "")


# the table --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_parser_has_the_options_of_the_table(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Each is there once: no two rows with the same name are for the same command."""
    monkeypatch.setenv("PYTHON_COLORS", "0")
    made = [name for option in OPTIONS if option.is_accepted(command) for name in option.names]
    assert len(made) == len(set(made))
    parser = make_parser(command)
    assert options_in(parser.format_help()) == {
        name for option in OPTIONS if option.is_shown(command) for name in option.names
    }


def test_every_option_is_in_some_help() -> None:
    """Nobody would find an option that no help shows."""
    for option in OPTIONS:
        assert any(option.is_shown(command) for command in ("", *COMMANDS)), option.names
        assert set(option.commands) <= COMMANDS.keys()

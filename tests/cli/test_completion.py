"""Completion: bash runs the script for bash, as it does when the tab key is pressed."""

import subprocess
import sys
from pathlib import Path

import pytest

from asyncsync.cli import main
from asyncsync.cli.completion import script
from asyncsync.cli.options import COMMANDS, OPTIONS
from asyncsync.errors import ConfigError

_PRESS = """
source ./script
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_shtab_asyncsync "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def pressed(tmp_path: Path) -> "Pressed":
    """A bash that has read the script, in a folder with a file and a folder."""
    (tmp_path / "script").write_text(script("bash"))
    (tmp_path / "my.env").touch()
    (tmp_path / "mine").mkdir()
    return Pressed(tmp_path)


class Pressed:
    """Presses the tab key behind some words."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *words: str) -> list[str]:
        """Return the proposals for the last of the words."""
        command = ["bash", "--norc", "-c", _PRESS, "bash", "asyncsync", *words]
        done = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""
        return sorted(done.stdout.split())


def test_commands_are_proposed(pressed: Pressed) -> None:
    """Those that begin with what is there, or all; none where only a prefix can follow."""
    assert pressed("d") == ["demo", "doctor", "du"]
    assert pressed("") == sorted(COMMANDS)
    assert pressed("--dest", "mine", "pl") == ["plan"]
    assert pressed("plan", "d") == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_options_are_proposed(pressed: Pressed, command: str) -> None:
    """Those that the help of the command shows; without a command, those of a sync."""
    known = [name for option in OPTIONS if option.is_shown(command) for name in option.names]
    words = [command] if command else []
    assert pressed(*words, "--") == sorted(name for name in known if name.startswith("--"))
    proposed = ["--dest"] if command not in {"help", "get"} else []
    assert pressed("--dest", "mine", *words, "--dest") == proposed


def test_values_of_options_are_proposed(pressed: Pressed) -> None:
    """They are folders, files, or a list of choices."""
    assert pressed("--dest", "m") == ["mine"]
    assert pressed("--env-file", "m") == ["mine", "my.env"]
    assert pressed("--validate", "r") == ["response"]
    assert pressed("--compare", "") == ["hash", "size", "time"]
    assert pressed("plan", "--odd-keys", "") == ["encode", "skip"]
    assert pressed("help", "ver") == ["verify"]
    assert pressed("verify", "--validate", "r") == ["response"]
    assert pressed("demo", "--dest", "m") == ["mine"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows the commands, and the options of each."""
    assert main(["--print-completion", shell]) == 0
    printed = capsys.readouterr().out
    assert "doctor" in printed
    assert "max-workers" in printed
    assert "deep" in printed
    assert "keep" in printed


def test_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the known shells."""
    assert main(["--print-completion", "cmd"]) == 2
    assert "bash, zsh" in capsys.readouterr().err


def test_missing_shtab_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[completion\]'"):
        script("bash")

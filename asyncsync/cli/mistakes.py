"""Words and options that are mistakes, and what may have been meant by them.

A guess is made only where the names are really near: a wrong one would be followed. What people
know from aws-cli, rclone, s5cmd and rsync is looked up, and not guessed.
"""

import os
import re
from collections.abc import Iterable, Sequence

from asyncsync.cli.options import COMMANDS, OPTIONS
from asyncsync.errors import ConfigError
from asyncsync.keys import SCHEME, shown

_SETTINGS_HINT = "the settings come from .env or the environment: see .env.example"
_ONE_WAY = "asyncsync only downloads, and changes nothing in the bucket"
_COMMANDS_ELSEWHERE = {
    **dict.fromkeys(("cp", "copy", "download", "mirror", "pull", "s3"), "did you mean sync?"),
    "check": "did you mean verify?",
    **dict.fromkeys(("list", "lsd", "lsf", "lsl", "tree"), "did you mean ls?"),
    "size": "did you mean du?",
    "cat": "did you mean get? With - in the place of PATH, it writes to standard output",
    **dict.fromkeys(("mv", "move", "rm", "delete", "put", "upload"), _ONE_WAY),
    **dict.fromkeys(("config", "configure"), _SETTINGS_HINT),
    "version": "did you mean --version?",
}
"""Commands of other tools, and what to say about them."""

_ALWAYS_CHECKED = "certificates are always checked; AWS_CA_BUNDLE names an authority of your own"
_REPLACED = "a file that differs is replaced, others stay; `asyncsync plan` shows which"
_OPTIONS_ELSEWHERE = {
    "--size-only": "use --compare size",
    **dict.fromkeys(("--checksum", "-c"), "use --compare hash"),
    "--exact-timestamps": "edited files are fetched again; --compare hash reads them all",
    **dict.fromkeys(
        ("--transfers", "--checkers", "--numworkers", "--concurrency", "--jobs", "--parallel"),
        "use --workers, which finds the best number by itself",
    ),
    "--bwlimit": "use --limit-rate",
    "--max-age": "use --newer-than",
    "--min-age": "use --older-than",
    **dict.fromkeys(
        ("--delete-removed", "--delete-after", "--delete-before", "--delete-during"),
        "use --delete, which deletes when all else is done",
    ),
    **dict.fromkeys(("--no-verify-ssl", "--no-check-certificate"), _ALWAYS_CHECKED),
    **dict.fromkeys(("--retries", "--retry-count", "--low-level-retries"), "use --attempts"),
    **dict.fromkeys(("--timeout", "--cli-read-timeout"), "use --read-timeout"),
    "--only-show-errors": "use --quiet",
    **dict.fromkeys(("--progress", "-P"), "a terminal shows it; --no-progress turns it off"),
    **dict.fromkeys(("--recursive", "-r", "--archive", "-a"), "a sync is recursive; leave it out"),
    **dict.fromkeys(("--config", "--credentials-file"), "use --env-file"),
    "--source-region": "use --region",
    "-V": "use --version",
    **dict.fromkeys(("--endpoint", "--s3-endpoint"), "use --endpoint-url"),
    **dict.fromkeys(("--output", "--local-dir", "--destination"), "use --dest"),
    **dict.fromkeys(
        ("--ignore-existing", "--no-clobber", "--no-overwrite", "--update", "--skip-existing"),
        _REPLACED,
    ),
    **dict.fromkeys(("--partial", "--resume", "--continue"), "a run always goes on; leave it out"),
}
"""Options of other tools that a sync does not take, and what does the same here."""


def check_word(word: str) -> None:
    """Check that a first word, which names no command, is not one that was mistyped.

    A word that has more than letters is no slip: it is the beginning of keys.

    Raises:
        ConfigError: it resembles a command, or is one of another tool.
    """
    hint = _COMMANDS_ELSEWHERE.get(word.lower(), "")
    likely = near_command(word) if re.fullmatch("[a-zA-Z]+", word) else ""
    if likely:
        hint = f"did you mean {likely}?"
    if hint:
        raise ConfigError(f"no such command: {word}; {hint} (a prefix: `asyncsync sync {word}`)")


def unknown_option(name: str, command: str, *, is_dry: bool) -> str:
    """Return what is wrong with an option that the command does not take, and what to do.

    Args:
        name: as it was written, without its value.
        command: the command.
        is_dry: whether `--dry-run` made it what it is.
    """
    if name in _OPTIONS_ELSEWHERE:
        return f"no such option: {shown(name)}; {_OPTIONS_ELSEWHERE[name]}"
    if commands := [c for option in OPTIONS if name in option.names for c in option.commands]:
        *others, last = commands
        all_of_them = f"{', '.join(others)} and {last}" if others else last
        here = "--dry-run" if is_dry else command
        return f"{name}: goes with {all_of_them}, not with {here}"
    accepted = [n for option in OPTIONS if option.is_accepted(command) for n in option.names]
    if likely := _near_option(name.replace("_", "-"), accepted):
        hint = f"did you mean {likely}?"
    else:
        hint = f"`asyncsync {command} --help` lists the options"
    return f"no such option: {shown(name)}; {hint}"


def misused_option(names: str) -> str:
    """Return what is wrong with an option that lacks its value, or has one and takes none.

    Args:
        names: its names, as argparse joins them.
    """
    option = next(option for option in OPTIONS if "/".join(option.names) == names)
    name = option.names[-1]
    if option.metavar:
        return f"{name}: its value is missing; write {name} {option.metavar}"
    return f"{name}: takes no value; write it alone"


def as_option(message: str) -> str:
    """Return a message that begins with the name of an argument with that of its option."""
    name, colon, rest = message.partition(": ")
    option = f"--{name.replace('_', '-')}"
    is_known = colon and any(option in known.names for known in OPTIONS)
    return f"{option}: {rest}" if is_known else message


def _near_option(name: str, accepted: Sequence[str]) -> str:
    """Return the option that is one slip away, or the only one that begins so; empty for none."""
    if len(name) < len("--xx"):
        return ""
    beginning = [option for option in accepted if option.startswith(name)]
    return _near(name, accepted) or (beginning[0] if len(beginning) == 1 else "")


def near_command(word: str) -> str:
    """Return the command that a word may be meant for; empty for none.

    It is not one of two or three letters: too many words are as near to these.
    """
    return _near(word.lower(), [command for command in COMMANDS if len(command) > 3])


def _near(word: str, words: Iterable[str]) -> str:
    """Return the first of the words that is the word, or one slip of the keys away from it."""
    return next((other for other in words if _is_near(word, other)), "")


def _is_near(word: str, other: str) -> bool:
    """Return whether a letter more, less, or another, or two of them swapped make it the other."""
    start = _shared(word, other)
    word, other = word[start:], other[start:]
    end = _shared(word[::-1], other[::-1])
    word, other = word[: len(word) - end], other[: len(other) - end]
    return max(len(word), len(other)) <= 1 or (len(word) == 2 and word == other[::-1])


def _shared(word: str, other: str) -> int:
    """Return how many letters both begin with."""
    pairs = enumerate(zip(word, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(word), len(other)))


def prefix_hint(prefix: str, bucket: str) -> str:
    """Return a guess at what was meant by a prefix that no key begins with, or how to find out."""
    if f"{prefix}/".startswith(f"{bucket}/"):
        return f"; {shown(bucket)} is the bucket: did you mean {SCHEME}{shown(prefix)}?"
    if likely := near_command(prefix):
        return f"; did you mean the command {likely}?"
    if "://" in prefix or prefix.startswith(("/", "./", "s3:")):
        return (
            "; a prefix is the beginning of a key, without the bucket's name and a leading /; "
            f"with the bucket, write {SCHEME}BUCKET/PREFIX"
        )
    if "*" in prefix:
        return "; a prefix is not a glob: use --include for globs"
    if os.path.isdir(prefix):  # pathlib's raises for a name that is too long
        return f"; to sync into the folder of that name, write --dest {shown(prefix)}"
    return "; `asyncsync ls` shows what there is"

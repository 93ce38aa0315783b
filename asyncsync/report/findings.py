"""The results of the doctor's checks: a verdict and a line of text each."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    """Runs work, but a person should know about it."""
    WRONG = "wrong"
    """Runs fail, or some of their objects do."""
    SKIPPED = "skipped"
    """The check could not be made, because something else is wrong or missing."""


Look = tuple[Verdict, str]
"""What a check returns. If something is wrong, it raises the error that a run would raise."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, as the doctor reports it."""

    check: str
    verdict: Verdict
    text: str
    """What was found and, if it is wrong, what to do about it."""
    exit_code: int = 0
    """The exit code that a sync would have because of it."""


def ok(text: str) -> Look:
    """Return that all is well."""
    return Verdict.OK, text


def warning(text: str) -> Look:
    """Return what a person should know."""
    return Verdict.WARNING, text


def skipped(text: str) -> Look:
    """Return why the check could not be made."""
    return Verdict.SKIPPED, text

"""What the doctor finds: a verdict and a line about each thing that it looks at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    """A run works, but somebody should know."""
    WRONG = "wrong"
    """A run does not work, or not for all objects."""
    SKIPPED = "skipped"
    """Nobody can tell, since something else is wrong or missing."""


Look = tuple[Verdict, str]
"""What one check finds and says; what is wrong it raises, as a run would."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the doctor says about one thing."""

    check: str
    verdict: Verdict
    text: str
    """What is so, and what to do about what is wrong."""
    exit_code: int = 0
    """What a sync would end with because of it."""


def ok(text: str) -> Look:
    """Say that something is as it should be."""
    return Verdict.OK, text


def warning(text: str) -> Look:
    """Say what somebody should know."""
    return Verdict.WARNING, text


def skipped(text: str) -> Look:
    """Say why nobody can tell."""
    return Verdict.SKIPPED, text

"""How a line names an object: one that failed or was skipped, and one that is fetched."""

from asyncsync.errors import SkippedError
from asyncsync.keys import escaped, shown
from asyncsync.model import Failed, Transfer
from asyncsync.paths import is_encoded

Json = dict[str, object]
"""A line for programs."""


def word(failed: Failed) -> str:
    """Return what became of an object that is not here: `skipped` or `failed`."""
    return "skipped" if isinstance(failed.error, SkippedError) else "failed"


def failure(failed: Failed) -> str:
    """Return one line about a failed or skipped object."""
    return f"{word(failed)}: {shown(failed.remote.key)}: {escaped(failed.error.advice)}"


def way(transfer: Transfer) -> str:
    """Return how a line names an object: its key, and its path where that is encoded."""
    if not is_encoded(transfer.path):
        return shown(transfer.remote.key)
    return f"{shown(transfer.remote.key)} -> {shown('/'.join(transfer.path))}"

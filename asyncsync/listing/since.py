"""List only keys after the last known ones, if new keys sort after the old ones (`--since`).

A run saves the last key of each prefix: all keys up to it were listed, and each is in sync. The
next run lists the prefix only after this key, which saves nearly all requests for a large bucket.
Objects in the root, and the top-level prefixes, are listed completely every time.

What sorts before the last key is not seen: new objects, replaced objects, files that are gone. So
everything is listed again after a day, after 20 runs, after a power cut that may have damaged
files, if the bucket, the prefixes or the globs have changed, and if the saved state is not valid.
If a key failed or was skipped, its prefix keeps its old last key, and is listed from there again.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from asyncsync.disk import Folder
from asyncsync.errors import DestinationError
from asyncsync.interfaces import SilentObserver
from asyncsync.model import Compared, Failed, Outcome

FORMAT = 1
MAX_AGE = 24 * 3600
"""Seconds after which everything is listed again."""
MOST_RUNS = 20
"""Runs after which everything is listed again."""
DOLLARS = 4.50 / 1_000_000
"""The price of a Class A operation of R2; listing one page is such an operation."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is listed; each scope has its own saved state."""

    endpoint: str
    bucket: str
    prefixes: Sequence[str]
    include: Sequence[str]
    exclude: Sequence[str]


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where one prefix is in sync."""

    last: str
    """The last key."""
    requests: int
    """How many requests it takes to list the whole prefix."""


class Since(SilentObserver):
    """The last keys of one scope, saved in the state folder.

    It is an observer as well, so that it knows which keys failed.

    Args:
        folder: the destination; the state is read at once.
        scope: what is listed.
        notice: gets messages for the user.
        now: returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        folder: Folder,
        scope: Scope,
        notice: Callable[[str], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._scope = json.loads(json.dumps(asdict(scope)))
        self._notice = notice
        name = hashlib.sha256(json.dumps(self._scope).encode()).hexdigest()[:16]
        self._name = f"since-{name}.json"
        self._full_at = self._now = now()
        self._runs = 0
        self._marks: dict[str, Mark] = {}
        """Where this run starts to list each prefix."""
        self._listed: dict[str, Mark | None] = {}
        """The prefixes whose listing has started; those that are complete have a mark."""
        self._requests = 0
        self._failed: set[str] = set()
        self._load()

    # The listing --------------------------------------------------------------------------------

    def start(self, prefix: str) -> str:
        """Return the key after which to list a prefix; empty for all of it."""
        self._listed[prefix] = None
        return self._marks[prefix].last if prefix in self._marks else ""

    def end(self, prefix: str, last: str, requests: int) -> None:
        """Record that a prefix has been listed completely.

        Args:
            prefix: the same as for `start`.
            last: its last key; empty if the server does not list keys in order.
            requests: how many it took.
        """
        self._requests += requests
        if last:
            known = self._marks.get(prefix)
            requests = known.requests + requests - 1 if known else requests
            self._listed[prefix] = Mark(last, requests)

    def lists_part_of(self, prefix: str) -> bool:
        """Return whether this run lists only a part of the keys that start with the prefix."""
        return any(part.startswith(prefix) or prefix.startswith(part) for part in self._marks)

    def skips(self, key: str) -> bool:
        """Return whether this run does not list a key, because an earlier one did."""
        return any(key.startswith(part) and key <= mark.last for part, mark in self._marks.items())

    # The observer -------------------------------------------------------------------------------

    def compared(self, page: Compared) -> None:
        """Record the keys that are refused."""
        for refused in page.refused:
            self._fail(refused)

    def ended(self, outcome: Outcome) -> None:
        """Record a key that failed."""
        if isinstance(outcome, Failed):
            self._fail(outcome)

    def listed(self) -> None:
        """Report what the listing has cost, and what it has saved."""
        parts = self._listed.keys() & self._marks.keys()
        cost = f"{_quantity(self._requests, 'request')}, {_format_price(self._requests)} with R2"
        if not parts:
            self._notice(f"everything was listed: {cost}")
            return
        in_full = self._requests + sum(self._marks[prefix].requests - 1 for prefix in parts)
        hours = (self._full_at + MAX_AGE - self._now) / 3600
        self._notice(
            f"only keys after the last known ones were listed: {cost}, instead of {in_full:,} for "
            f"{_format_price(in_full)}; everything is listed again in {hours:.0f} h "
            f"or {_quantity(MOST_RUNS - self._runs, 'run')}"
        )

    def _fail(self, failed: Failed) -> None:
        key = failed.remote.key
        self._failed.update(prefix for prefix in self._listed if key.startswith(prefix))

    # The saved state ----------------------------------------------------------------------------

    def save(self) -> None:
        """Save the last keys. Call it only after a complete listing."""
        marks = {
            prefix: self._marks.get(prefix) if prefix in self._failed else mark
            for prefix, mark in self._listed.items()
        }
        state = {
            "format": FORMAT,
            "scope": self._scope,
            "full_at": self._full_at,
            "runs": self._runs + 1,
            "unsure_until": self._folder.unsure_until(),
            "marks": {prefix: [mark.last, mark.requests] for prefix, mark in marks.items() if mark},
        }
        try:
            self._folder.keep_note(self._name, json.dumps(state).encode())
        except DestinationError as error:
            self._notice(
                f"the last keys could not be saved, so everything will be listed again: {error}"
            )

    def _load(self) -> None:
        """Load what the last run saved, if it is valid and not too old."""
        try:
            content = self._folder.note(self._name)
            if content is None:
                return
            full_at, runs, unsure_until, marks = _parse_state(content, self._scope)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._notice("the saved last keys are not valid, so everything is listed")
            return
        if unsure_until != self._folder.unsure_until():
            return  # a power cut since then may have damaged files that sort before the last keys
        if 0 <= self._now - full_at < MAX_AGE and 0 < runs < MOST_RUNS:
            self._full_at, self._runs, self._marks = full_at, runs, marks


def _quantity(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _format_price(requests: int) -> str:
    dollars = requests * DOLLARS
    return f"${dollars:.4f}" if dollars >= 0.0001 else "less than $0.0001"


def _parse_state(content: bytes, scope: object) -> tuple[float, int, int, dict[str, Mark]]:
    """Return time of the last full listing, runs since then, end of the unsure time, and marks.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: the content is not valid.
    """
    state = json.loads(content)
    if state["format"] != FORMAT or state["scope"] != scope:
        raise ValueError("another format or another scope")
    marks = {
        prefix: _parse_mark(last, requests) for prefix, (last, requests) in state["marks"].items()
    }
    return float(state["full_at"]), int(state["runs"]), int(state["unsure_until"]), marks


def _parse_mark(last: object, requests: object) -> Mark:
    if not (isinstance(last, str) and isinstance(requests, int) and last and requests > 0):
        raise ValueError("not a mark")
    return Mark(last, requests)

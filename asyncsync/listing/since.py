"""Listing from the last keys on, for buckets whose new keys sort behind the old ones (`--since`).

A run notes how far each prefix is in step: up to its last key all keys were listed, and each has
its file. The next run lists the prefix behind that key only, which saves nearly all requests of a
large bucket. Objects in the root, and the top-level prefixes, are listed in full every time.

What sorts before the last key is not seen: neither new objects nor replaced ones, nor files that
went missing here. So all is listed in full again after a day, after 20 runs, after a power cut that
may have taken files, when the bucket, the prefixes or the globs are others, and when anything about
the notes is odd. A prefix in which a key failed or was skipped gets no further, and so is listed
from where it was.
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
LONGEST = 24 * 3600
"""Seconds after which all is listed in full again."""
MOST_RUNS = 20
"""Runs after which it is."""
DOLLARS = 4.50 / 1_000_000
"""What R2 asks for a Class A operation; a page of a listing is one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is listed: notes about one scope say nothing about another."""

    endpoint: str
    bucket: str
    prefixes: Sequence[str]
    include: Sequence[str]
    exclude: Sequence[str]


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one prefix is in step."""

    last: str
    """The last key."""
    requests: int
    """What listing it in full takes."""


class Since(SilentObserver):
    """The notes of one scope in one folder; looks on, so that it knows which keys failed.

    Args:
        folder: where the notes are.
        scope: what they are about.
        notice: told what a person should know.
        now: the time in seconds since the epoch.
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
        """Those that this run lists from."""
        self._listed: dict[str, Mark | None] = {}
        """By prefixes whose listing has begun; those that have ended have a mark."""
        self._requests = 0
        self._failed: set[str] = set()
        self._read()

    # listing ------------------------------------------------------------------------------------

    def begin(self, prefix: str) -> str:
        """Return the key behind which a prefix is to be listed; none for all of it."""
        self._listed[prefix] = None
        return self._marks[prefix].last if prefix in self._marks else ""

    def end(self, prefix: str, last: str, requests: int) -> None:
        """Take note of a prefix that was listed to its end.

        Args:
            prefix: as it was begun.
            last: its last key; none where the server does not keep keys in order.
            requests: what it took.
        """
        self._requests += requests
        if last:
            known = self._marks.get(prefix)
            requests = known.requests + requests - 1 if known else requests
            self._listed[prefix] = Mark(last, requests)

    def knows(self, prefix: str) -> bool:
        """Return whether only a part of what begins so is listed."""
        return any(part.startswith(prefix) or prefix.startswith(part) for part in self._marks)

    def passes_over(self, key: str) -> bool:
        """Return whether a key is not listed, for it was before."""
        return any(key.startswith(part) and key <= mark.last for part, mark in self._marks.items())

    # looking on ---------------------------------------------------------------------------------

    def compared(self, page: Compared) -> None:
        """Take note of keys that are refused."""
        for refused in page.refused:
            self._fail(refused)

    def ended(self, outcome: Outcome) -> None:
        """Take note of a key that failed."""
        if isinstance(outcome, Failed):
            self._fail(outcome)

    def listed(self) -> None:
        """Tell what the listing has cost, and what was saved."""
        parts = self._listed.keys() & self._marks.keys()
        cost = f"{_many(self._requests, 'request')}, {_price(self._requests)} with R2"
        if not parts:
            self._notice(f"all was listed: {cost}")
            return
        in_full = self._requests + sum(self._marks[prefix].requests - 1 for prefix in parts)
        hours = (self._full_at + LONGEST - self._now) / 3600
        self._notice(
            f"only what sorts behind the last keys was listed: {cost}, instead of {in_full:,} for "
            f"{_price(in_full)}; all will be in {hours:.0f} h "
            f"or {_many(MOST_RUNS - self._runs, 'run')}"
        )

    def _fail(self, failed: Failed) -> None:
        key = failed.remote.key
        self._failed.update(prefix for prefix in self._listed if key.startswith(prefix))

    # notes --------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep what is known by now; to be called after a listing that went to its end."""
        marks = {
            prefix: self._marks.get(prefix) if prefix in self._failed else mark
            for prefix, mark in self._listed.items()
        }
        notes = {
            "format": FORMAT,
            "scope": self._scope,
            "full_at": self._full_at,
            "runs": self._runs + 1,
            "unsure_until": self._folder.unsure_until(),
            "marks": {prefix: [mark.last, mark.requests] for prefix, mark in marks.items() if mark},
        }
        try:
            self._folder.keep_note(self._name, json.dumps(notes).encode())
        except DestinationError as error:
            self._notice(f"the last keys could not be kept, so all will be listed again: {error}")

    def _read(self) -> None:
        """Take up the notes of the last run, as far as they can be believed."""
        try:
            content = self._folder.note(self._name)
            if content is None:
                return
            full_at, runs, unsure_until, marks = _parsed(content, self._scope)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._notice("the notes of the last listing cannot be used, so this one is in full")
            return
        if unsure_until != self._folder.unsure_until():
            return  # a power cut since then may have taken files that sort before the last keys
        if 0 <= self._now - full_at < LONGEST and 0 < runs < MOST_RUNS:
            self._full_at, self._runs, self._marks = full_at, runs, marks


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _price(requests: int) -> str:
    dollars = requests * DOLLARS
    return f"${dollars:.4f}" if dollars >= 0.0001 else "less than $0.0001"


def _parsed(content: bytes, scope: object) -> tuple[float, int, int, dict[str, Mark]]:
    notes = json.loads(content)
    if notes["format"] != FORMAT or notes["scope"] != scope:
        raise ValueError("of another format or about another scope")
    marks = {prefix: _mark(last, requests) for prefix, (last, requests) in notes["marks"].items()}
    return float(notes["full_at"]), int(notes["runs"]), int(notes["unsure_until"]), marks


def _mark(last: object, requests: object) -> Mark:
    if not (isinstance(last, str) and isinstance(requests, int) and last and requests > 0):
        raise ValueError("no mark")
    return Mark(last, requests)

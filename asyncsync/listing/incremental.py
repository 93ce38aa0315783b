"""List only keys after the last known ones, if new keys sort after the old ones (`--incremental`).

A run saves the last key of each large prefix: all keys up to it were listed, and each is in sync.
The next run lists what these leave open: the keys before the first prefix, those between the last
key of one and the next prefix, and those after the last one. That saves nearly all requests for a
large bucket, and finds every new key in these gaps: in old prefixes, in new ones and in the root.
A prefix of less than two pages has no mark, because to leave it out would save no request.

What sorts before the last key is not seen: new objects, replaced objects, files that are gone. So
everything is listed again after a day, after 20 runs, after a power cut that may have damaged
files, if the bucket, the prefixes or the globs have changed, if the folder holds files of another
bucket as well, if the saved state is not valid, and if the server turns out not to list keys in
order. If a key failed or was skipped, its prefix keeps
its old last key, and is listed from there again.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from asyncsync.disk import Folder
from asyncsync.errors import DestinationError
from asyncsync.interfaces import SilentObserver
from asyncsync.listing.cuts import can_be_asked
from asyncsync.model import Compared, Failed, Outcome, RemoteObject
from asyncsync.units import format_count

FORMAT = 2
MAX_AGE = 24 * 3600
"""Seconds after which everything is listed again."""
MOST_RUNS = 20
"""Runs after which everything is listed again."""
FEWEST_PAGES = 2
"""Pages that a prefix must have to get a mark."""
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
    stripped: str = ""
    """The prefix that paths leave out."""
    odd_keys: str = "skip"
    """What becomes of keys that are no path."""


class Incremental(SilentObserver):
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
        self._marks: dict[str, str] = {}
        """The last known key of each prefix that has a mark, from earlier runs."""
        self._full_requests = 0
        """How many requests it took to list everything."""
        self._page_size = 1
        """Keys on the largest page so far."""
        self._roots: list[str] = []
        """What this run lists: the prefixes that are given, or all."""
        self._is_partial = False
        self._unordered: list[str] = []
        self._lasts: dict[str, str] = {}
        self._counts = Counter[str]()
        """Keys that this run has listed, by the prefix that may get a mark."""
        self._requests = 0
        self._failed: set[str] = set()
        self._why = ""
        """Why this run lists everything; empty where there is nothing to save."""
        self._load()

    # The listing --------------------------------------------------------------------------------

    def list_all(self) -> None:
        """List everything in this run, as files of old keys may have been replaced here."""
        self._why = "the folder holds files of several buckets"
        self._full_at, self._runs, self._marks = self._now, 0, {}

    def gaps(self, root: str) -> list[tuple[str, str | None]]:
        """Return what to list: the key after which to start, and the one where to end.

        Args:
            root: a prefix that is given; empty for the bucket.
        """
        self._roots.append(root)
        marks = sorted(mark for mark in self._marks.items() if mark[0].startswith(root))
        if not marks:
            return [("", None)]
        self._is_partial = True
        starts = [last for _, last in marks]
        if root:
            return [(starts[-1], None)]
        ends = [prefix for prefix, _ in marks]
        return list(zip(["", *starts], [*ends, None], strict=True))

    def note(self, root: str, objects: Sequence[RemoteObject]) -> None:
        """Record objects that were listed.

        A prefix that begins and ends within a page is too small for a mark, and there may be many.
        """
        self._page_size = max(self._page_size, len(objects))
        at_edges = {root or remote.prefix for remote in (*objects[:1], *objects[-1:])}
        for remote in objects:
            prefix = root or remote.prefix
            if prefix in at_edges or prefix in self._marks:
                self._counts[prefix] += 1
                self._lasts[prefix] = max(self._lasts.get(prefix, ""), remote.key)

    def end(self, root: str, requests: int, *, is_in_order: bool) -> None:
        """Record that something has been listed to its end.

        Args:
            root: the same as for `gaps`.
            requests: how many it took.
            is_in_order: whether the keys came in order; no last key is saved otherwise.
        """
        self._requests += requests
        if not is_in_order:
            self._unordered.append(root)

    def lists_part_of(self, prefix: str) -> bool:
        """Return whether this run lists only a part of the keys that start with the prefix."""
        return any(part.startswith(prefix) or prefix.startswith(part) for part in self._marks)

    def skips(self, key: str) -> bool:
        """Return whether this run does not list a key, because an earlier one did."""
        return any(
            key.startswith(part) and part < key <= last for part, last in self._marks.items()
        )

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
        cost = f"{format_count(self._requests, 'request')}, {_format_price(self._requests)} with R2"
        if not self._is_partial or self._unordered:
            why = self._why or "no prefix is long enough that there is something to save"
            if self._is_partial:
                why = "the server lists keys in an order of its own"
            self._notice(f"everything was listed: {cost}; {why}")
            return
        hours = (self._full_at + MAX_AGE - self._now) / 3600
        self._notice(
            f"only keys after the last known ones were listed: {cost}, instead of "
            f"{self._full_requests:,} for {_format_price(self._full_requests)}; everything is "
            f"listed again in {hours:.0f} h or {format_count(MOST_RUNS - self._runs, 'run')}"
        )

    def _fail(self, failed: Failed) -> None:
        for root in self._roots:
            if failed.remote.key.startswith(root):
                self._failed.add(root or failed.remote.prefix)

    # The saved state ----------------------------------------------------------------------------

    def _new_marks(self) -> dict[str, str]:
        """Return the last keys to begin the next run with."""
        if not self._roots:
            return {}
        marks = dict(self._marks)
        for prefix, last in self._lasts.items():
            is_worth_it = prefix in marks or self._counts[prefix] >= FEWEST_PAGES * self._page_size
            if prefix and is_worth_it and prefix not in self._failed and can_be_asked(last):
                marks[prefix] = max(last, marks.get(prefix, ""))
        unordered = tuple(self._unordered)
        return {prefix: last for prefix, last in marks.items() if not prefix.startswith(unordered)}

    def save(self) -> None:
        """Save the last keys. Call it only after a complete listing."""
        try:
            state = {
                "format": FORMAT,
                "scope": self._scope,
                "full_at": self._full_at,
                "runs": self._runs + 1,
                "unsure_until": self._folder.unsure_until(),
                "requests": self._full_requests if self._is_partial else self._requests,
                "page_size": self._page_size,
                "marks": self._new_marks(),
            }
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
                self._why = "this is the first run of its kind here"
                return
            state = _parse_state(content, self._scope)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._why = "the saved last keys are not valid"
            self._notice(f"{self._why}, so everything is listed")
            return
        if state is None:
            self._why = "the last keys were saved by another version"
            self._notice(f"{self._why}, so everything is listed")
            return
        if state.unsure_until != self._folder.unsure_until():
            # It may have damaged files that sort before the last keys.
            self._why = "there was a power cut since the last run"
            return
        if 0 <= self._now - state.full_at < MAX_AGE and 0 < state.runs < MOST_RUNS:
            self._full_at, self._runs, self._marks = state.full_at, state.runs, state.marks
            self._full_requests, self._page_size = state.requests, state.page_size
        else:
            self._why = "that is due once a day, and after 20 runs"


def _format_price(requests: int) -> str:
    dollars = requests * DOLLARS
    return f"${dollars:.4f}" if dollars >= 0.0001 else "less than $0.0001"


@dataclass(frozen=True, slots=True)
class _State:
    full_at: float
    """The time of the last full listing."""
    runs: int
    """How many there were since then, with that one."""
    unsure_until: int
    requests: int
    page_size: int
    marks: dict[str, str]


def _parse_state(content: bytes, scope: object) -> _State | None:
    """Return the saved state; None if it is of another format.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: the content is not valid.
    """
    state = json.loads(content)
    if state["format"] != FORMAT:
        return None
    if state["scope"] != scope:
        raise ValueError("another scope")
    return _State(
        float(state["full_at"]),
        int(state["runs"]),
        int(state["unsure_until"]),
        int(state["requests"]),
        max(int(state["page_size"]), 1),
        dict(map(_parse_mark, state["marks"].items())),
    )


def _parse_mark(mark: tuple[str, object]) -> tuple[str, str]:
    prefix, last = mark
    if not (isinstance(last, str) and prefix and last.startswith(prefix) and can_be_asked(last)):
        raise ValueError("not a mark")
    return prefix, last

"""What is told of an object, and of a folder of objects; and what a listing had of each prefix."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum

from asyncsync.compare import Selection
from asyncsync.interfaces import Observer
from asyncsync.model import Compared, Reason, RemoteObject


class State(StrEnum):
    """What is here of an object."""

    HERE = "here"
    """Its file is up to date."""
    MISSING = "missing"
    """There is no file."""
    CHANGED = "changed"
    """Its file is out of date, so that a sync would replace it."""
    UNSURE = "unsure"
    """A sync would read or replace the file, to be sure of it."""
    REFUSED = "refused"
    """A sync would skip it: its path is unsafe or taken, or it is in an archive."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object, and what is here of it."""

    remote: RemoteObject
    state: State


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """The objects below a prefix, rolled up: how many there are was not asked."""

    prefix: str
    """It ends in `/`."""


Entry = ListedObject | ListedFolder


@dataclass(slots=True)
class Usage:
    """Objects, and what is here of them."""

    objects: int = 0
    bytes: int = 0
    """Their size, here or not."""
    here: int = 0
    """Those whose file is up to date."""
    to_download: int = 0
    """Those that are missing or changed."""
    bytes_to_download: int = 0
    """The size of those."""

    def add(self, remote: RemoteObject, state: State) -> None:
        """Count an object."""
        size = max(remote.size, 0)  # a listing may not tell it
        self.objects += 1
        self.bytes += size
        self.here += state is State.HERE
        if state in {State.MISSING, State.CHANGED}:
            self.to_download += 1
            self.bytes_to_download += size


def usage_of_all(usages: Iterable[Usage]) -> Usage:
    """Return the sum."""
    return Usage(*map(sum, zip(*map(astuple, usages), strict=True)))


_STATES = {
    Reason.MISSING: State.MISSING,
    Reason.UNSURE: State.UNSURE,
    Reason.UNPROVEN: State.UNSURE,
}
"""What is here of an object that a sync would fetch, by the reason; `CHANGED` for all others."""


def states(page: Compared) -> dict[str, State]:
    """Return what is here of each object of a page, by its key."""
    found = {known.remote.key: State.HERE for known in page.up_to_date}
    found |= {each.remote.key: _STATES.get(each.reason, State.CHANGED) for each in page.transfers}
    return found | {refused.remote.key: State.REFUSED for refused in page.refused}


class Seen:
    """Which prefixes a listing had objects of, and how many it had that are not selected.

    Args:
        selection: the keys that count.
        observer: is told at the end.
    """

    def __init__(self, selection: Selection, observer: Observer) -> None:
        self._selection = selection
        self._observer = observer
        self._unmatched = set(selection.prefixes or [""])
        self._absent = set(filter(None, self._unmatched))
        self._left_out = Counter[str]()

    def select(
        self, objects: Sequence[RemoteObject], folders: Iterable[str] = ()
    ) -> list[RemoteObject]:
        """Return the objects that are selected; any that begin with a prefix are some of its."""
        selected = [remote for remote in objects if self._selection.takes(remote)]
        if len(selected) < len(objects):
            self._left_out.update(self._selection.note_left_out(objects))
        if self._unmatched:
            self._unmatched = _without(self._unmatched, [*(r.key for r in selected), *folders])
            self._absent = _without(self._absent, [*(r.key for r in objects), *folders])
        return selected

    def end(self) -> None:
        """Tell what was left out, and which prefixes had nothing."""
        self._observer.filtered(self._left_out)
        for prefix in sorted(self._unmatched):
            if prefix in self._absent:
                self._observer.absent(prefix)
            self._observer.unmatched(prefix)
        self._observer.listed()


def _without(prefixes: Iterable[str], keys: Sequence[str]) -> set[str]:
    """Return the prefixes with which none of the keys begins."""
    return {prefix for prefix in prefixes if not any(key.startswith(prefix) for key in keys)}


async def never(prefix: str) -> bool:  # noqa: ARG001 - asks the bucket whether a folder is needed
    """Return that no folder is needed: it is refused either way, and that is all that is told."""
    return False

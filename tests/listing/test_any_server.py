"""Listings of random servers: every key that was shown is handled once, or the listing says so."""

import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from asyncsync.errors import IncompleteListingError, ListingError
from asyncsync.listing import Landmarks, list_objects
from asyncsync.model import Page, RemoteObject
from tests.rigs.watch import quick_pace

pytestmark = pytest.mark.anyio

Order = Callable[[str], Any]


@pytest.fixture(autouse=True)
def _most_hashes_are_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a listing of millions."""
    monkeypatch.setattr("asyncsync.listing.hashes.MOST_HELD", 3)


def by_folder(key: str) -> list[str]:
    """Order keys as a server with folders does: `a/b` before `a-b`."""
    return key.split("/")


ORDERS: dict[str, Order] = {
    "bytes": os.fsencode,
    "folders": by_folder,
    "case": lambda key: (key.casefold(), key),
    "length": lambda key: (len(key), key),
    "falling": lambda key: [-ord(char) for char in key] + [1],
}


@dataclass
class Server:
    """A store of made-up keys, with habits that a server of S3 should not have."""

    keys: list[str]
    """In the order in which they are listed."""
    rng: random.Random
    order: Order = os.fsencode
    page_sizes: tuple[int, ...] = (4,)
    is_shuffled: bool = False
    """Keys are in no order, and `start-after` compares bytes."""
    ignores_start: bool = False
    """`start-after` has no effect."""
    hidden_prefixes: frozenset[str] = frozenset()
    """Left out of listings with a delimiter."""
    hidden_after: frozenset[str] = frozenset()
    """Keys that are left out after a `start-after`."""
    hidden_flat: frozenset[str] = frozenset()
    """Keys that only listings with a delimiter, or of their own prefix, show."""
    ends_early: bool = False
    """The first page of all keys says that it is the last one."""
    repeats: bool = False
    """The last key of a page is the first one of the next as well."""
    skips: bool = False
    """A token sometimes leads behind a key that was never shown."""
    has_key_tokens: bool = False
    """A token stands for a key, and not for a number of keys."""
    _tokens: list[str] = field(default_factory=lambda: [""])
    changes: float = 0.0
    """How often a key comes or goes before a page."""
    shown: set[str] = field(default_factory=set)
    requests: int = 0

    def is_in_order(self) -> bool:
        """Return whether this server does what S3 does, as far as it lists flat."""
        return (
            self.keys == sorted(set(self.keys))
            and not (self.ignores_start or self.hidden_after or self.hidden_flat)
            and not (self.ends_early or self.repeats or self.skips)
        )

    def has_chain(self) -> bool:
        """Return whether the pages from the first one on show every key.

        And whether their order is seen to be wrong, as that of pages of a few keys may not be.
        """
        may_seem_sorted = self.is_shuffled and min(self.page_sizes) < 4
        hides = self.hidden_after or self.hidden_flat or self.ends_early or self.skips
        return not (hides or may_seem_sorted)

    def _change(self) -> None:
        if self.rng.random() < 0.7 or not self.keys:
            key = max(self.keys, default="") + "0" if self.rng.random() < 0.5 else "p5/new"
            self.keys = sorted({*self.keys, key.replace("/0", "0")})
        else:
            self.keys.remove(self.rng.choice(self.keys))

    def _entries(self, prefix: str, delimiter: str, start_after: str) -> list[str]:
        entries: list[str] = []
        for key in self.keys:
            if not key.startswith(prefix):
                continue
            end = key.find(delimiter, len(prefix)) + 1 if delimiter else 0
            entry = key[:end] if end else key
            if end and entry in entries:
                continue
            if end and entry in self.hidden_prefixes:
                continue
            if not delimiter and key in self.hidden_flat and prefix != key:
                continue
            if start_after and not self._is_after(key, start_after):
                continue
            entries.append(entry)
        return entries

    def _is_after(self, key: str, start: str) -> bool:
        if self.ignores_start:
            return True
        return key not in self.hidden_after and self.order(key) > self.order(start)

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return a page; a token is a number of entries."""
        self.requests += 1
        for _ in range(self.rng.randrange(4)):
            await anyio.lowlevel.checkpoint()
        if self.rng.random() < self.changes:
            self._change()
        entries = self._entries(prefix, delimiter, start_after)
        start = int(token or 0)
        if token and self.has_key_tokens:
            start = sum(entry <= self._tokens[int(token)] for entry in entries)
        end = start + self.rng.choice(self.page_sizes)
        page = entries[start:end]
        following = end - (self.repeats and len(page) > 1) + (self.skips and end % 3 == 0)
        has_more = following < len(entries)
        if self.ends_early and not (delimiter or start_after or token):
            has_more = False
        objects = [key for key in page if not (delimiter and key.endswith("/"))]
        self.shown.update(objects)
        if self.has_key_tokens and page:
            following = len(self._tokens)
            self._tokens.append(page[-1])
        return Page(
            [RemoteObject(key, 1, "", 0) for key in objects],
            [key for key in page if delimiter and key.endswith("/")],
            str(following) if has_more else "",
        )


def random_keys(rng: random.Random) -> list[str]:
    """Return keys of some shape, in the order of their bytes, without folder markers."""
    shape = rng.randrange(5)
    number = rng.choice((0, 3, 15, 60, 150))
    if shape == 0:
        keys = {f"{rng.randrange(1000):03}" for _ in range(number)}
    elif shape == 1:
        keys = {f"p{rng.randrange(12)}/{rng.randrange(200):03}" for _ in range(number)}
    elif shape == 2:
        keys = {f"p{rng.randrange(500)}/x" for _ in range(number)}
    elif shape == 3:
        keys = {
            f"1hz/{rng.randrange(3)}/{rng.randrange(3)}/{rng.getrandbits(20):05x}"
            for _ in range(number)
        }
    else:
        alphabet = "ab/-.0"
        keys = {"".join(rng.choices(alphabet, k=rng.randrange(1, 7))) for _ in range(number)}
    return sorted(key for key in keys if not key.endswith("/"))


def random_server(rng: random.Random) -> Server:
    """Return a server with none, one or several bad habits."""
    keys = random_keys(rng)
    server = Server(
        keys, rng, page_sizes=rng.choice(((1,), (4,), (10,), (1, 2, 7), (3, 50), (1000,)))
    )
    for habit in rng.sample(HABITS, rng.choice((0, 1, 1, 1, 2, 3))):
        habit(server, rng)
    return server


def _sort_otherwise(server: Server, rng: random.Random) -> None:
    server.order = ORDERS[rng.choice([*ORDERS])]
    server.keys = sorted(server.keys, key=server.order)


def _shuffle(server: Server, rng: random.Random) -> None:
    server.is_shuffled = True
    rng.shuffle(server.keys)


def _hide_prefixes(server: Server, rng: random.Random) -> None:
    tops = {key[: key.find("/") + 1] for key in server.keys if "/" in key}
    server.hidden_prefixes = frozenset(top for top in sorted(tops) if rng.random() < 0.5)


def _some(server: Server, rng: random.Random) -> frozenset[str]:
    return frozenset(key for key in server.keys if rng.random() < 0.1)


def _list_some_twice(server: Server, rng: random.Random) -> None:
    server.keys = sorted([*server.keys, *_some(server, rng)], key=server.keys.index)


HABITS: list[Callable[[Server, random.Random], object]] = [
    _sort_otherwise,
    _shuffle,
    _hide_prefixes,
    _list_some_twice,
    lambda server, rng: setattr(server, "ignores_start", True),
    lambda server, rng: setattr(server, "hidden_after", _some(server, rng)),
    lambda server, rng: setattr(server, "hidden_flat", _some(server, rng)),
    lambda server, rng: setattr(server, "ends_early", True),
    lambda server, rng: setattr(server, "repeats", True),
    lambda server, rng: setattr(server, "skips", True),
]


class Run:
    """What one listing of a server did."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        self.server = server
        self.keys: list[str] = []
        self.error: ListingError | None = None
        self.separated: set[str] = set()
        self._rng = rng
        self._landmarks = Landmarks(min_files=rng.choice((1, 5, 2000)))
        if rng.random() < 0.3:
            files = [key for key in server.keys if rng.random() < 0.7]
            self._landmarks.recording(list)([*files])
            self._landmarks.complete()

    async def _handle(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        self.keys += [remote.key for remote in objects]
        for _ in range(self._rng.randrange(4)):
            await anyio.lowlevel.checkpoint()

    async def run(self, *prefixes: str) -> None:
        """List everything."""
        with anyio.fail_after(20):
            try:
                await list_objects(
                    self.server,  # type: ignore[arg-type]  # a listing needs no more of a store
                    prefixes,
                    quick_pace(),
                    self._handle,
                    self.separated.update,
                    landmarks=self._landmarks,
                )
            except ListingError as error:
                self.error = error


def check(seed: int) -> str:
    """List a random server, check what must be true, and return how it went."""
    rng = random.Random(seed)
    server = random_server(rng)
    run = Run(server, rng)
    anyio.run(run.run)
    twice = [key for key, times in Counter(run.keys).items() if times > 1]
    assert not twice, f"handled twice: {twice}"
    if run.error is None or isinstance(run.error, IncompleteListingError):
        assert server.shown <= set(run.keys), (
            f"shown and not handled: {server.shown - set(run.keys)}"
        )
    if server.is_in_order():
        assert run.error is None, f"a server in order failed: {run.error}"
    if run.error is None and server.has_chain():
        assert set(run.keys) == set(server.keys)
    return type(run.error).__name__ if run.error else "all"


@pytest.mark.row(130)
@pytest.mark.parametrize("batch", range(10))
def test_every_key_that_was_shown_is_handled_once(batch: int) -> None:
    """Or the listing raises; that of a server in order never does."""
    went = Counter(check(seed) for seed in range(batch * 60, batch * 60 + 60))
    assert went["all"] > 30


def check_changing(seed: int) -> str:
    """List a server in order whose keys come and go, and return how it went."""
    rng = random.Random(seed)
    before = random_keys(rng)
    server = Server(list(before), rng, page_sizes=(4,), changes=0.1, has_key_tokens=True)
    run = Run(server, rng)
    anyio.run(run.run)
    assert max(Counter(run.keys).values(), default=1) == 1
    assert server.shown & set(server.keys) <= set(run.keys)
    if run.error is None:
        assert set(before) & set(server.keys) <= set(run.keys)
    return type(run.error).__name__ if run.error else "all"


def test_keys_may_come_and_go_during_the_listing() -> None:
    """What stays is handled once. Rarely, a key that goes looks like one that was left out."""
    went = Counter(check_changing(seed) for seed in range(200))
    assert went["all"] >= 190


def main() -> None:
    """Check as many servers as the arguments say: the first seed, and how many."""
    import sys

    first, number = map(int, sys.argv[1:])
    went = Counter[str]()
    for seed in range(first, first + number):
        try:
            went[check(seed)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed is told
            went["broken"] += 1
            print(seed, repr(error)[:300], flush=True)
    print(went)


if __name__ == "__main__":
    main()

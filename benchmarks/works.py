"""The sets of objects that are fetched. They are seeded: every run fetches the same bytes."""

import os
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks.tree import IN_FOLDER, Tree

KB, MB, MIB = 1_000, 1_000_000, 1 << 20

_POOL = random.Random("asyncsync").randbytes(MIB + 7)
"""What all objects are cut from. Its length is no divisor of a part's, so parts differ."""


@dataclass(frozen=True, slots=True)
class Work:
    """A bucket's content."""

    name: str
    description: str
    objects: dict[str, int]
    """Bytes of every key."""
    stored: bool = True
    """False: no store holds it, and `listing.py` lists it. It needs half the room."""
    tree: Tree | None = None
    """The keys, if there are too many to hold; `objects` is empty then."""

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.objects if self.tree is None else self.tree)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.objects.values()) if self.tree is None else self.tree.size


def small(count: int = 4_000, *, stored: bool = True) -> Work:
    """Objects of 20-200 KB under 8 prefixes with month folders."""
    draw = random.Random("small")
    prefixes = ["1hz", "10hz", "100hz", *(f"fft_hub{hub}" for hub in range(1, 6))]
    objects = {}
    for number in range(count):
        month = number // 8 % 24
        folder = f"{prefixes[number % 8]}/{2023 + month // 12}-{month % 12 + 1:02d}"
        objects[f"{folder}/{number:06d}.parquet"] = draw.randint(20 * KB, 200 * KB)
    return Work("small", f"{count:,} objects of 20-200 KB", objects, stored)


def large(count: int = 12, size: int = 128 * MIB, *, stored: bool = True) -> Work:
    """Large objects under 4 prefixes; their uploads have parts, so their ETags are no MD5."""
    objects = {f"fft_hub{n % 4 + 1}/{n:02d}.parquet": size for n in range(count)}
    return Work("large", f"{count} objects of {size // MIB} MiB", objects, stored)


def mixed(count: int = 600, largest: int = 20 * MB, outlier: int = 500 * MB) -> Work:
    """Sizes spread evenly over five orders of magnitude, and one outlier."""
    draw = random.Random("mixed")
    objects = {
        f"fft_hub{n % 4 + 1}/{n % 7 + 1:02d}/{n:04d}.parquet": int(
            largest / 10 ** draw.uniform(0, 5)
        )
        for n in range(count - 1)
    }
    objects["fft_hub3/04/outlier.parquet"] = outlier
    total = sum(objects.values())
    return Work(
        "mixed", f"{count} objects of 200 B to {outlier // MB} MB, {total / 1e9:.1f} GB", objects
    )


def keys(count: int = 100_000) -> Work:
    """Tiny objects in one flat prefix, a file a minute."""
    draw = random.Random("keys")
    objects = {key: draw.randint(16, 64) for key in _flat(count)}
    return Work("keys", f"{count:,} objects of 16-64 bytes in one flat prefix", objects)


def listed(name: str, count: int) -> Work:
    """A flat prefix that exists as a listing only: empty objects, for memory measured at scale."""
    objects = dict.fromkeys(_flat(count), 0)
    return Work(name, f"{count:,} keys in one flat prefix, listed only", objects, stored=False)


def tree(name: str, count: int) -> Work:
    """Objects of 200-2,000 bytes below 20 prefixes, in folders of a day with a file a minute."""
    description = f"{count:,} keys in folders of {IN_FOLDER:,}, generated and listed only"
    return Work(name, description, {}, stored=False, tree=Tree(count))


def empty() -> Work:
    """A bucket without objects."""
    return Work("empty", "no object", {})


FULL: dict[str, Callable[[], Work]] = {
    "empty": empty,
    "small": small,
    "large": large,
    "mixed": mixed,
    "keys": keys,
    "keys-10k": partial(listed, "keys-10k", 10_000),
    "keys-100k": partial(listed, "keys-100k", 100_000),
    "keys-1m": partial(listed, "keys-1m", 1_000_000),
    "tree-1m": partial(tree, "tree-1m", 1_000_000),
    "tree-3m": partial(tree, "tree-3m", 3_000_000),
    "tree-10m": partial(tree, "tree-10m", 10_000_000),
    "small-20k": partial(small, 20_000, stored=False),
    "large-6g": partial(large, 48, stored=False),
}
QUICK: dict[str, Callable[[], Work]] = {
    "empty": empty,
    "small": partial(small, 48),
    "large": partial(large, 2, 20 * MIB),
    "mixed": partial(mixed, 10, 1 * MB, 24 * MB),
    "keys": partial(keys, 1_500),
    "keys-10k": partial(listed, "keys-10k", 100),
    "keys-100k": partial(listed, "keys-100k", 1_000),
    "keys-1m": partial(listed, "keys-1m", 10_000),
    "tree-1m": partial(tree, "tree-1m", 5_000),
    "tree-3m": partial(tree, "tree-3m", 7_000),
    "tree-10m": partial(tree, "tree-10m", 9_000),
    "small-20k": partial(small, 240, stored=False),
    "large-6g": partial(large, 8, 20 * MIB, stored=False),
}
"""The same works in small, under the same names: enough to see that everything runs."""


_MAGIC = b"PAR1"
_ENDS = len(_MAGIC) + 4 + len(_MAGIC)


def memory() -> Path | None:
    """Return Linux' folder in memory, where there is one: no disk takes part then."""
    folder = Path("/dev/shm")  # noqa: S108 - it is what is wanted
    return folder if folder.is_dir() else None


def write(work: Work, directory: Path) -> None:
    """Write every object of `work` as a plain file below `directory`.

    What has room for it begins and ends as Parquet files do; what is between is no table.
    """
    pool = memoryview(_POOL + _POOL)
    for folder in {key.rpartition("/")[0] for key in work.objects}:
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for key, size in work.objects.items():
        phase = zlib.crc32(key.encode()) % len(_POOL)
        turned = pool[phase : phase + len(_POOL)]
        with open(f"{directory}/{key}", "wb") as file:
            file.writelines(turned[: size - written] for written in range(0, size, len(_POOL)))
            if size > _ENDS:
                file.seek(0)
                file.write(_MAGIC)
                file.seek(-4 - len(_MAGIC), os.SEEK_END)
                file.write((1).to_bytes(4, "little") + _MAGIC)


def _flat(count: int) -> Iterator[str]:
    start = datetime(2024, 1, 1)  # noqa: DTZ001  only a name is made of it
    for number in range(count):
        yield f"1hz/{start + timedelta(minutes=number):%Y%m%dT%H%M}.parquet"

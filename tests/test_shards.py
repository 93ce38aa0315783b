"""Shards: the rule that says which keys each has, and how one is written."""

import hashlib
from collections import Counter

import pytest

from asyncsync.errors import ConfigError
from asyncsync.settings import Options
from asyncsync.shards import MOST_SHARDS, Shard

VECTORS = {
    "a": (0xCA978112CA1BBDCA, 3, 5),
    "1hz/2026/01/a.parquet": (0xCD8A3CE421E6C2F3, 4, 3),
    "\u00e9": (0x4A99557E4033C353, 4, 4),
    "bad-\udcff": (0x29FA194D3A85E4A4, 5, 3),
}
"""Keys, what the first eight bytes of their SHA-256 say, and their shards of 8 and of 7.

`printf %s KEY | sha256sum | cut -c1-16` says the same. These never change: who has split a bucket
with one version must find the same shards with the next.
"""


@pytest.mark.parametrize("key", VECTORS)
def test_rule_is_the_same_forever(key: str) -> None:
    """A key has the shard that the documents say, so that others can compute it."""
    number, of_8, of_7 = VECTORS[key]
    raw = key.encode("utf-8", "surrogateescape")
    assert hashlib.sha256(raw).digest()[:8] == number.to_bytes(8, "big")
    assert (number % 8 + 1, number % 7 + 1) == (of_8, of_7)
    assert [n for n in range(1, 9) if Shard(n, 8).has(key)] == [of_8]
    assert [n for n in range(1, 8) if Shard(n, 7).has(key)] == [of_7]


@pytest.mark.parametrize("count", [2, 3, 8, 100])
def test_shards_are_disjoint_and_of_similar_size(count: int) -> None:
    """Keys that differ in a digit only, as those of time series do, are spread over all."""
    keys = [f"1hz/2026/01/{number:06d}.parquet" for number in range(10_000)]
    found = Counter(
        next(n for n in range(1, count + 1) if Shard(n, count).has(key)) for key in keys
    )
    assert sum(found.values()) == len(keys)
    assert min(found.values()) > len(keys) / count / 2
    assert max(found.values()) < len(keys) / count * 2


def test_key_that_no_bucket_can_have_has_a_shard() -> None:
    """A list of keys may hold anything."""
    assert sum(Shard(n, 3).has("\ud800") for n in range(1, 4)) == 1


def test_shard_is_written_with_a_slash_and_named_without() -> None:
    """A name of a file has no slash, and what is named otherwise is no shard."""
    shard = Shard.parse(" 2/8 ")
    assert (shard, str(shard), shard.name) == (Shard(2, 8), "2/8", "2-of-8")
    assert Shard.named("2-of-8") == shard
    for name in ("2", "9-of-8", "0-of-8", "02-of-8", "2-of-8.new", "\u0662-of-8", "1-of-9999"):
        assert Shard.named(name) is None


@pytest.mark.parametrize("text", ["", "2", "0/8", "9/8", "-1/8", "1/0", "2/8/3", "a/b", "1/5000"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    """Before anything is done, as every wrong option."""
    with pytest.raises(ConfigError, match=r"shard: .*is no shard"):
        Options(shard=text)  # type: ignore[arg-type]  # as in Python


def test_only_shard_is_the_whole_run() -> None:
    """So a job array of one task needs nothing of its own."""
    assert Options(shard="1/1") == Options(shard="off") == Options()  # type: ignore[arg-type]
    assert Options(shard=f"1/{MOST_SHARDS}").shard == Shard(1, MOST_SHARDS)  # type: ignore[arg-type]

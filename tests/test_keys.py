"""Keys: how long they are, and how one is shown."""

from array import array
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncsync.errors import UnsafeKeyError
from asyncsync.keys import (
    _digest,
    abridged,
    count_folders,
    display_width,
    escaped,
    is_too_long,
    key_hash,
    key_hashes,
    shown,
)
from asyncsync.paths import Paths

ANYTHING = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\x9b31m", r"\x9b31m"),
        ("\x7f", r"\x7f"),
        ("\u202egpj", r"\u202egpj"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_dangerous_characters_are_escaped(text: str, expected: str) -> None:
    """A key cannot move the cursor, begin a new line, or reverse the text."""
    assert shown(text) == expected


@given(ANYTHING)
def test_shown_text_is_harmless(text: str) -> None:
    """It is one printable line that can be encoded as UTF-8."""
    assert shown(text).isprintable()
    shown(text).encode()


@given(st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=100))
@example("größe 日本 \\x1b")
def test_printable_text_is_shown_as_it_is(text: str) -> None:
    """Letters, marks, digits, symbols and spaces are kept, where nothing is cut."""
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 0), ("a/b", 3), ("日本", 4), ("e\u0301", 1), ("ü", 1), ("\U0001f600", 2)],
)
def test_cells_are_those_of_a_terminal(text: str, cells: int) -> None:
    """A wide character takes two cells, a combining character none."""
    assert display_width(text) == cells


# long keys --------------------------------------------------------------------------------------

LONGEST = "k" * 768 + "/" + "é" * 127 + "\udcff"
"""1,024 bytes."""


@pytest.mark.row(157)
def test_key_of_1024_bytes_is_the_longest() -> None:
    """Bytes count, not characters, and a byte that is not UTF-8 counts once."""
    assert not is_too_long(LONGEST)
    for key in (LONGEST + "x", "é" * 513, "x" * 1025, "\udcff" * 1025, "\ud800" * 1025):
        assert is_too_long(key)
        with pytest.raises(UnsafeKeyError, match="a key cannot be longer than 1,024 bytes"):
            Paths(encodes=True).of(key)


@pytest.mark.row(157)
@pytest.mark.parametrize("folder", ["", "a/", "/", "é" * 2000 + "/"])
@pytest.mark.parametrize("name", ["n" * 2000, "日" * 5000, "n/" * 50_000])
def test_abridged_key_passes_for_the_key(folder: str, name: str) -> None:
    """It is too long as well, has no other folders, and matches the same prefixes and globs."""
    key = folder + name + ".parquet"
    short = abridged(key)
    assert is_too_long(short)
    assert len(short) < 1200
    assert short.endswith(".parquet")
    assert short[:1024] == key[:1024]
    assert short < key
    assert short.partition("/")[0] in {key.partition("/")[0], short}


@pytest.mark.row(157)
@pytest.mark.parametrize("char", ["a", "日", "\x1b", "\U000e0041", "\udcff"])
def test_only_the_start_of_a_long_key_is_shown(char: str) -> None:
    """At most 200 characters, no half of an escape, and a mark that says so."""
    assert shown("a" * 200) == "a" * 200
    start, mark, rest = shown(char * 1_000_000).partition("… (cut)")
    assert (mark, rest) == ("… (cut)", "")
    assert start == escaped(char) * (200 // len(escaped(char)))
    assert escaped("x" * 1000 + "\n") == "x" * 1000 + r"\n"


@given(ANYTHING)
def test_shown_key_is_a_key_that_is_escaped_or_cut(key: str) -> None:
    """Whatever the characters."""
    text = shown(key)
    assert text == escaped(key) or escaped(key).startswith(text.removesuffix("… (cut)"))
    assert len(text) <= 207


@pytest.mark.parametrize(
    ("one", "other"), [(". ", "\u202e"), ("\x01\xf6", "\uf601"), ("a\0", "a"), ("é", "e\u0301")]
)
def test_hash_tells_keys_apart_that_are_the_same_in_memory(one: str, other: str) -> None:
    """As Python stores some strings, the bytes of their characters are the same."""
    assert key_hash(one) != key_hash(other)


@given(ANYTHING)
def test_every_key_has_a_hash_of_eight_bytes(key: str) -> None:
    """Also one that is not valid UTF-8; it stays the same."""
    assert key_hash(key) == key_hash("".join(key))
    assert -(2**63) <= key_hash(key) < 2**63


def test_hash_has_eight_bytes_where_that_of_python_has_four(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Among a hundred thousand keys, no two share it."""
    monkeypatch.setattr("asyncsync.keys._hash", _digest)
    keys = [f"1hz/{number}.parquet" for number in range(100_000)]
    assert len({*key_hashes(keys)}) == len(keys)
    assert len(array("q", key_hashes(keys))) == len(keys)
    assert key_hashes(keys[:2]) == [*map(key_hash, keys[:2])]


@given(st.lists(ANYTHING))
@example(["a\0b", "c"])
@example([""])
@example([])
def test_hashes_of_a_page_are_those_of_its_keys(keys: list[str]) -> None:
    """Also where a key holds what the others are joined with."""
    assert key_hashes(keys) == [*map(key_hash, keys)]


@given(st.lists(st.text("ab/", max_size=5)), st.integers(0, 3))
@example([f"{number}/x" for number in range(20)], 0)
@example(["x", "a/b", "a/c"], 0)
def test_folders_are_counted_as_one_by_one(keys: list[str], start: int) -> None:
    """In whatever order the keys come, and however many folders they are in."""
    expected = Counter(key[: key.find("/", start) + 1] for key in keys)
    assert count_folders(keys, start) == expected

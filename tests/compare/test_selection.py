"""Which keys a run syncs."""

import pytest

from asyncsync.compare import Selection
from asyncsync.limits import Limits
from asyncsync.model import UNKNOWN_SIZE, RemoteObject
from asyncsync.times import parse_time


@pytest.mark.parametrize(
    ("include", "exclude", "selected", "others"),
    [
        (
            ["*.parquet"],
            [],
            ["a.parquet", "1hz/2026/a.parquet", "x\ny.parquet"],
            ["a.json", "a.PARQUET", "parquet", "a.parquet2"],
        ),
        (["*"], [], ["a", "a/b", ".hidden", "raw\udcff"], []),
        (["1hz/*", "*.json"], [], ["1hz/a", "1hz/a/b", "fft/x.json"], ["fft/a", "x1hz/a"]),
        (["*.csv"], ["*/tmp/*", "x*"], ["a.csv", "tmp/a.csv"], ["1hz/tmp/a.csv", "x.csv"]),
        (["a?[0-9].csv"], [], ["ab1.csv"], ["a1.csv", "abc.csv"]),
        (["a|b"], [], ["a|b"], ["a", "b"]),
        (["*"], ["*"], [], ["a", "b/c"]),
        (["1hz/"], ["1hz/tmp/"], ["1hz/a", "1hz/a/b"], ["1hz", "x/1hz/a", "1hz/tmp/a"]),
        (["*/raw/"], [], ["1hz/raw/a", "a/b/raw/c/d"], ["raw/a", "1hz/raw"]),
    ],
)
def test_selection(
    include: list[str], exclude: list[str], selected: list[str], others: list[str]
) -> None:
    """A key must match a glob of `include`, none of `exclude`; `x/` is all that is below it."""
    selection = Selection(include, exclude)
    assert [key for key in selected + others if selection(key)] == selected
    assert [*selection.select(selected + others)] == selected
    objects = [RemoteObject(key, 1, "", 0) for key in selected + others]
    assert [remote.key for remote in selection.taken_in_any_shard(objects)] == selected


@pytest.mark.parametrize(
    ("prefixes", "selected"),
    [
        ((), ["1hz/a", "1hz2/a", "fft/a", "root"]),
        (("",), ["1hz/a", "1hz2/a", "fft/a", "root"]),
        (("1hz/",), ["1hz/a"]),
        (("1hz",), ["1hz/a", "1hz2/a"]),
        (("fft/", "1hz/"), ["1hz/a", "fft/a"]),
        (("1hz/a",), ["1hz/a"]),
        (("a", "/1hz", "1HZ/"), []),
    ],
)
def test_key_starts_with_a_prefix(prefixes: tuple[str, ...], selected: list[str]) -> None:
    """Any key may be selected if there are none; a prefix need not end in a slash."""
    selection = Selection(["*"], [], prefixes)
    assert [key for key in ("1hz/a", "1hz2/a", "fft/a", "root") if selection(key)] == selected
    assert selection.prefixes == prefixes


def test_prefix_and_globs_must_both_match() -> None:
    """Globs match the whole key, including its prefix."""
    selection = Selection(["*.parquet"], ["1hz/tmp/*"], ["1hz/"])
    keys = ["1hz/a.parquet", "1hz/a.csv", "fft/a.parquet", "1hz/tmp/a.parquet"]
    assert [key for key in keys if selection(key)] == ["1hz/a.parquet"]


@pytest.mark.parametrize(
    ("key", "size", "taken"),
    [
        ("1hz/a.parquet", 0, True),
        ("1hz/a.csv", 5, False),
        ("fft/a.parquet", 5, False),
        ("1hz/folder/", 0, False),
        ("1hz/folder/", 5, False),
        ("1hz/folder.parquet/", 5, True),
        ("1hz/folder.parquet/", 0, False),
        ("1hz/x.parquet", 5, False),
        ("1hz/x.parquet/", 5, False),
    ],
)
def test_folder_marker_is_taken_only_with_content(key: str, size: int, taken: bool) -> None:
    """Its content is an object's, though its key is no path; the globs match its name."""
    selection = Selection(["*.parquet"], ["*/x.*"], ["1hz/"])
    assert selection.takes(RemoteObject(key, size, "etag", 0)) == taken


@pytest.mark.parametrize(
    ("key", "needed"),
    [
        ("x/a.parquet", True),
        ("x/a.csv", False),
        ("x/folder.parquet/", False),
        ("x/../a.parquet", False),
        ("x//a.parquet", False),
        (".asyncsync/a.parquet", False),
    ],
)
def test_only_keys_that_get_a_file_need_folders(key: str, needed: bool) -> None:
    """A key that is not selected or has no safe path gets none."""
    assert Selection(["*.parquet"], []).needs_folder(RemoteObject(key, 1, "etag", 0)) == needed


NOV = parse_time("2026-11-01T00:00:00Z")


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        (Limits(), "small medium large unknown"),
        (Limits(smallest=10), "medium large unknown"),
        (Limits(largest=10), "small medium unknown"),
        (Limits(smallest=10, largest=10), "medium unknown"),
        (Limits(oldest_ns=NOV), "medium large unknown"),
        (Limits(newest_ns=NOV), "small medium unknown"),
        (Limits(smallest=11, newest_ns=NOV), "unknown"),
    ],
)
def test_limit_is_itself_within(limits: Limits, taken: str) -> None:
    """As in rclone; a size or a time that the listing does not tell is within every limit."""
    selection = Selection(["*"], [], limits=limits)
    objects = [
        RemoteObject("small", 9, "etag", NOV - 1000),
        RemoteObject("medium", 10, "etag", NOV),
        RemoteObject("large", 11, "etag", NOV + 1000),
        RemoteObject("unknown", UNKNOWN_SIZE, "etag", 0),
    ]
    assert " ".join(remote.key for remote in objects if selection.takes(remote)) == taken
    beyond = [remote for remote in objects if remote.key not in taken.split()]
    assert [*selection.note_left_out(objects)] == [""] * len(beyond)
    assert [remote for remote in objects if selection.is_beyond(remote.key)] == beyond
    assert all(selection(remote.key) for remote in objects)

"""Unfinished files: what a killed run leaves, the next one goes on with, if it is sound."""

import os
import time
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from asyncsync.model import RemoteObject
from asyncsync.parts import (
    JOURNAL,
    MOST_AGE,
    PART,
    PartFile,
    clear,
    clear_stale,
    open_part_file,
    spans,
)

pytestmark = pytest.mark.anyio

SIZE = 2 * PART + 5
NOW = time.time_ns() + 10**15
"""All that is left over was written before."""
CONTENT = bytes(range(251)) * (SIZE // 251 + 1)
REMOTE = RemoteObject("1hz/ä\n.parquet", SIZE, "etag", 1)


async def bring(part: PartFile, span: range, crc: int | None = None) -> None:
    """Write a part and note it."""
    block = CONTENT[span.start : span.stop]
    async with part.at(span.start) as write:
        write(block)
    part.finished(span, zlib.crc32(block) if crc is None else crc)


async def left_by_a_killed_run(folder: Path) -> PartFile:
    """Return the file of a run that brought the first and the last part."""
    part = await open_part_file(folder, "killed", REMOTE, NOW)
    first, _, last = spans(SIZE)
    await bring(part, first)
    await bring(part, last)
    return part


def names(folder: Path) -> set[str]:
    """Return the runs whose files lie in the folder."""
    return {path.name.partition(".")[2] for path in folder.iterdir()}


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART])
def test_spans_cover_the_object_without_gap_or_overlap(size: int) -> None:
    """Each begins where the last one ended, and none but the last is shorter."""
    found = list(spans(size))
    assert all(one.stop == other.start for one, other in pairwise([range(0), *found]))
    assert sum(map(len, found)) == size
    assert all(len(span) == PART for span in found[:-1])


async def test_whole_parts_are_kept_across_runs(tmp_path: Path) -> None:
    """Those that were noted, and no others; the file is the new run's own."""
    await left_by_a_killed_run(tmp_path)
    part = await open_part_file(tmp_path, "new", REMOTE, NOW)
    first, _, last = spans(SIZE)
    assert part.whole == {first, last}
    assert part.has_parts
    assert names(tmp_path) == {"new", "new" + JOURNAL}
    assert part.path.read_bytes()[last.start :] == CONTENT[last.start : SIZE]


@pytest.mark.parametrize(
    "other",
    [
        RemoteObject("1hz/other.parquet", SIZE, "etag", 1),
        RemoteObject(REMOTE.key, SIZE, "other", 1),
        RemoteObject(REMOTE.key, SIZE + 1, "etag", 1),
    ],
    ids=["key", "version", "size"],
)
async def test_parts_of_another_version_are_not_used(tmp_path: Path, other: RemoteObject) -> None:
    """Not even if only the version, or only the size, is another."""
    await left_by_a_killed_run(tmp_path)
    part = await open_part_file(tmp_path, "new", other, NOW)
    assert part.whole == set()
    assert not part.has_parts


async def test_object_without_a_version_is_not_resumed(tmp_path: Path) -> None:
    """Nothing would tell whether its parts belong together."""
    nameless = RemoteObject("a", SIZE, "", 1)
    await bring(await open_part_file(tmp_path, "killed", nameless, NOW), range(PART))
    assert (await open_part_file(tmp_path, "new", nameless, NOW)).whole == set()


async def test_changed_bytes_are_fetched_again(tmp_path: Path) -> None:
    """A part whose bytes are no longer those that were noted does not count."""
    part = await left_by_a_killed_run(tmp_path)
    async with part.at(PART - 1) as write:
        write(b"?")
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert again.whole == {range(2 * PART, SIZE)}


async def test_cut_journal_keeps_what_is_whole(tmp_path: Path) -> None:
    """A line without its end is not believed, even where it can be read."""
    part = await left_by_a_killed_run(tmp_path)
    journal = part.path.with_name(part.path.name + JOURNAL)
    journal.write_bytes(journal.read_bytes()[:-1])
    assert (await open_part_file(tmp_path, "new", REMOTE, NOW)).whole == {range(PART)}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}\n", b"\xff\xfe\n", b'{"key": 1}\n0 8388608 1\n', b"\0" * 100],
)
async def test_corrupt_journal_does_no_harm(tmp_path: Path, content: bytes) -> None:
    """All is fetched again, into a new file, and nothing of the old one is left."""
    part = await left_by_a_killed_run(tmp_path)
    part.path.with_name(part.path.name + JOURNAL).write_bytes(content)
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert again.whole == set()
    assert names(tmp_path) == {"new", "new" + JOURNAL}
    assert again.path.read_bytes() == bytes(SIZE)


@pytest.mark.parametrize(
    "line", [b"5 17 1\n", b"0 1 2 3\n", b"0\n", b"-1 8 1\n", b"a b c\n", b"0 99999999999 1\n"]
)
async def test_senseless_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    """Only a part as this version cuts them counts."""
    part = await left_by_a_killed_run(tmp_path)
    journal = part.path.with_name(part.path.name + JOURNAL)
    journal.write_bytes(journal.read_bytes() + line)
    assert len((await open_part_file(tmp_path, "new", REMOTE, NOW)).whole) == 2


async def test_file_of_another_size_is_of_no_use(tmp_path: Path) -> None:
    """Somebody has cut it, so nothing about it is believed."""
    part = await left_by_a_killed_run(tmp_path)
    os.truncate(part.path, SIZE - 1)
    assert (await open_part_file(tmp_path, "new", REMOTE, NOW)).whole == set()


async def test_second_run_never_writes_under_the_name_of_the_first(tmp_path: Path) -> None:
    """Where the lock does not work, the first one's file is taken over and both go on."""
    part = await left_by_a_killed_run(tmp_path)
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert again.path != part.path
    with pytest.raises(FileNotFoundError):
        async with part.at(0):
            pytest.fail("still there")


async def test_file_that_cannot_be_made_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty name is not left for the next run to wonder about."""
    monkeypatch.setattr(Path, "write_bytes", _fails)
    with pytest.raises(OSError, match="no space"):
        await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert names(tmp_path) == set()


def _fails(*_: object) -> int:
    raise OSError(28, "no space")


async def test_clearing_keeps_what_a_run_can_go_on_with(tmp_path: Path) -> None:
    """A file and its journal stay together for a week; all else goes at once."""
    await left_by_a_killed_run(tmp_path)
    (tmp_path / "0.killed").write_bytes(b"half a small file")
    (tmp_path / f"lonely{JOURNAL}").write_bytes(b"{}")
    clear(tmp_path, NOW - MOST_AGE)
    assert names(tmp_path) == {"killed", "killed" + JOURNAL}
    clear(tmp_path, NOW)
    assert names(tmp_path) == set()


async def test_stale_files_of_covered_keys_go(tmp_path: Path) -> None:
    """What this run has listed and had no use for; its own and other keys' files stay."""
    await left_by_a_killed_run(tmp_path)
    clear_stale(tmp_path, "killed", lambda _: True, NOW)
    assert names(tmp_path) == {"killed", "killed" + JOURNAL}
    clear_stale(tmp_path, "new", lambda key: key != REMOTE.key, NOW)
    assert names(tmp_path) == {"killed", "killed" + JOURNAL}
    clear_stale(tmp_path, "new", lambda key: key == REMOTE.key, NOW)
    assert names(tmp_path) == set()

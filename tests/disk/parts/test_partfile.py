"""Unfinished files: the next run continues what a killed run left, if it is sound."""

import contextlib
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from asyncsync.disk.parts import partfile
from asyncsync.disk.parts.journal import JOURNAL, PART
from asyncsync.disk.parts.leftovers import MAX_AGE, clear, clear_stale, used_bytes
from asyncsync.disk.parts.partfile import PIECE, PartFile, open_part_file, spans
from asyncsync.errors import ConnectionLostError
from asyncsync.model import RemoteObject

pytestmark = pytest.mark.anyio

SIZE = 2 * PART + 5
BLOCK = 100_000
PIECES = -(-PIECE // BLOCK) * BLOCK
"""Bytes of a piece when blocks have that size."""
NOW = time.time_ns() + 10**15
"""Later than all files of earlier runs."""
CONTENT = bytes(range(251)) * (SIZE // 251 + 1)
REMOTE = RemoteObject("1hz/ä\n.parquet", SIZE, "etag", 1)


async def write_part(part: PartFile, span: range, size: int | None = None) -> None:
    """Write a part, or only `size` bytes of what is missing of it, in blocks of 100 kB."""
    start = part.missing(span).start
    stop = span.stop if size is None else start + size
    async with part:
        for at in range(start, stop, BLOCK):
            part.write(span, CONTENT[at : min(at + BLOCK, stop)])


async def leave_from_killed_run(folder: Path) -> PartFile:
    """Return the file of a run that was killed after it wrote the first and the last part."""
    part = await open_part_file(folder, "killed", REMOTE, NOW)
    first, _, last = spans(SIZE)
    await write_part(part, first)
    await write_part(part, last)
    return part


def arrived(part: PartFile) -> list[range]:
    """Return the range of each part that has arrived."""
    return [range(span.start, part.missing(span).start) for span in spans(SIZE)]


def journal_of(part: PartFile) -> Path:
    """Return the path of the journal."""
    return part.path.with_name(part.path.name + JOURNAL)


def runs(folder: Path) -> set[str]:
    """Return the ids of the runs whose files are in the folder."""
    return {path.name.partition(".")[2] for path in folder.iterdir()}


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART])
def test_spans_cover_the_object_without_gap_or_overlap(size: int) -> None:
    """Each starts where the previous one stopped, and only the last may be shorter."""
    found = list(spans(size))
    assert all(one.stop == other.start for one, other in pairwise([range(0), *found]))
    assert sum(map(len, found)) == size
    assert all(len(span) == PART for span in found[:-1])


async def test_whole_parts_are_kept_across_runs(tmp_path: Path) -> None:
    """Those in the journal, and no others; the file then belongs to the new run."""
    await leave_from_killed_run(tmp_path)
    part = await open_part_file(tmp_path, "new", REMOTE, NOW)
    first, middle, last = spans(SIZE)
    assert first in part
    assert middle not in part
    assert last in part
    assert part.has_pieces
    assert runs(tmp_path) == {"new", "new" + JOURNAL}
    assert part.path.read_bytes()[last.start :] == CONTENT[last.start : SIZE]


@pytest.mark.row(54)
async def test_part_beyond_four_gibibytes_is_kept(tmp_path: Path) -> None:
    """It lies at its offset, and what has not arrived takes no space."""
    far = RemoteObject("1hz/far.parquet", (1 << 32) + SIZE, "etag", 1)
    *_, span, last = spans(far.size)
    assert span.start > 1 << 32
    part = await open_part_file(tmp_path, "killed", far, NOW)
    block = CONTENT[: len(last)]
    async with part:
        part.write(last, block)
    part = await open_part_file(tmp_path, "new", far, NOW)
    assert (last in part, span in part) == (True, False)
    assert part.path.stat().st_size == far.size
    assert part.path.stat().st_blocks * 512 < PART
    with part.open() as file:
        file.seek(span.start)
        assert file.read() == bytes(len(span)) + block


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
    """Even if only the ETag or only the size differs."""
    await leave_from_killed_run(tmp_path)
    part = await open_part_file(tmp_path, "new", other, NOW)
    assert set(map(len, arrived(part))) == {0}
    assert not part.has_pieces


async def test_object_without_a_version_is_not_resumed(tmp_path: Path) -> None:
    """Without an ETag nothing shows whether its parts belong together."""
    nameless = RemoteObject("a", SIZE, "", 1)
    await write_part(await open_part_file(tmp_path, "killed", nameless, NOW), range(PART))
    assert range(PART) == (await open_part_file(tmp_path, "new", nameless, NOW)).missing(
        range(PART)
    )


async def test_changed_bytes_are_fetched_again(tmp_path: Path) -> None:
    """From the first piece whose bytes do not match its CRC."""
    part = await leave_from_killed_run(tmp_path)
    with part.path.open("r+b") as file:
        file.seek(PIECES + 1)
        file.write(b"?")
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert arrived(again) == [range(PIECES), range(PART, PART), range(2 * PART, SIZE)]
    await write_part(again, range(PART))
    last = await open_part_file(tmp_path, "last", REMOTE, NOW)
    assert arrived(last) == [range(PART), range(PART, PART), range(2 * PART, SIZE)]


async def test_unfinished_part_is_kept_up_to_its_last_piece(tmp_path: Path) -> None:
    """A kill loses less than a piece and a block, and the next run continues from there."""
    first, middle, _ = spans(SIZE)
    part = await open_part_file(tmp_path, "killed", REMOTE, NOW)
    async with part:
        for start in range(0, PIECES + BLOCK, BLOCK):
            part.write(first, CONTENT[start : start + BLOCK])
        part.write(middle, CONTENT[PART : PART + PIECE])
        again = await open_part_file(tmp_path, "new", REMOTE, NOW)  # as if a kill happened now
    assert arrived(again)[:2] == [range(PIECES), range(PART, PART + PIECE)]
    await write_part(again, first, 3 * PIECES)
    last = await open_part_file(tmp_path, "last", REMOTE, NOW)
    assert arrived(last)[:2] == [range(4 * PIECES), range(PART, PART + PIECE)]
    assert last.path.read_bytes()[: 4 * PIECES] == CONTENT[: 4 * PIECES]


async def test_part_that_breaks_off_is_kept_to_the_last_byte(tmp_path: Path) -> None:
    """An error loses nothing that arrived before it."""
    part = await open_part_file(tmp_path, "broken", REMOTE, NOW)

    async def break_off() -> None:
        async with part:
            part.write(range(PART), CONTENT[:7])
            raise ConnectionLostError

    with pytest.raises(ConnectionLostError):
        await break_off()
    assert part.missing(range(PART)) == range(7, PART)
    assert arrived(await open_part_file(tmp_path, "new", REMOTE, NOW))[0] == range(7)


async def test_what_is_forgotten_is_written_again(tmp_path: Path) -> None:
    """Once it is there again it counts, whatever an older line says."""
    part = await leave_from_killed_run(tmp_path)
    assert part.forget(range(PART)) == PART
    assert part.forget(range(PART)) == 0
    assert range(PART) not in part
    async with part:
        part.write(range(PART), b"new")
    assert arrived(await open_part_file(tmp_path, "new", REMOTE, NOW))[0] == range(3)


async def test_cut_journal_keeps_what_is_whole(tmp_path: Path) -> None:
    """A line without its end is ignored, even if it can be parsed."""
    part = await leave_from_killed_run(tmp_path)
    journal = journal_of(part)
    journal.write_bytes(journal.read_bytes()[:-1])
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    first, middle, last = spans(SIZE)
    assert arrived(again) == [first, range(PART, PART), range(2 * PART, 2 * PART)]
    await write_part(again, middle)
    await write_part(again, last)
    assert arrived(await open_part_file(tmp_path, "last", REMOTE, NOW)) == [first, middle, last]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}\n", b"\xff\xfe\n", b'{"key": 1}\n0 8388608 1\n', b"\0" * 100],
)
async def test_corrupt_journal_does_no_harm(tmp_path: Path, content: bytes) -> None:
    """Everything is fetched again into a new file, and nothing of the old one remains."""
    part = await leave_from_killed_run(tmp_path)
    journal_of(part).write_bytes(content)
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert set(map(len, arrived(again))) == {0}
    assert runs(tmp_path) == {"new", "new" + JOURNAL}
    assert again.path.read_bytes() == bytes(SIZE)


@pytest.mark.parametrize(
    "line",
    [
        *[b"5 17 1\n", b"0 1 2 3\n", b"0\n", b"-1 8 1\n", b"a b c\n", b"0 99999999999 1\n"],
        *[b"8388608 8388608 0\n", b"8388608 0 0\n", b"8388609 8388610 0\n", b"9" * 5000 + b"\n"],
    ],
    ids=lambda line: line[:20],
)
async def test_invalid_lines_are_ignored(tmp_path: Path, line: bytes) -> None:
    """Only a piece that continues a part and stays within it counts."""
    part = await leave_from_killed_run(tmp_path)
    found = arrived(part)
    journal = journal_of(part)
    header, *lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([header, line, *lines, line]))
    assert arrived(await open_part_file(tmp_path, "new", REMOTE, NOW)) == found


async def test_file_of_another_size_is_not_used(tmp_path: Path) -> None:
    """Somebody has truncated it, so nothing in it is trusted."""
    part = await leave_from_killed_run(tmp_path)
    os.truncate(part.path, SIZE - 1)
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert set(map(len, arrived(again))) == {0}


@pytest.mark.row(119)
@pytest.mark.parametrize("suffix", ["", JOURNAL], ids=["file", "journal"])
@pytest.mark.parametrize("kind", ["link", "second name", "fifo"])
async def test_file_that_leads_elsewhere_is_not_used(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    """Nothing is written there and no FIFO blocks, whatever the journal says."""
    folder, elsewhere = tmp_path / "parts", tmp_path / "elsewhere"
    folder.mkdir()
    part = await leave_from_killed_run(folder)
    left = part.path.with_name(part.path.name + suffix)
    left.rename(elsewhere)
    if kind == "link":
        left.symlink_to(elsewhere)
    elif kind == "fifo":
        os.mkfifo(left)
    else:
        os.link(elsewhere, left)
    before = elsewhere.read_bytes()
    again = await open_part_file(folder, "new", REMOTE, NOW)
    assert set(map(len, arrived(again))) == {0}
    await write_part(again, range(PART, 2 * PART))
    clear_stale(folder, "new", lambda _: True, NOW)
    assert elsewhere.read_bytes() == before
    clear(folder, NOW - MAX_AGE)
    assert runs(folder) == {"new", "new" + JOURNAL}


async def test_second_run_never_writes_under_the_name_of_the_first(tmp_path: Path) -> None:
    """Where the lock does not work, it takes the first run's file over, and both continue."""
    part = await leave_from_killed_run(tmp_path)
    again = await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert again.path != part.path
    with pytest.raises(FileNotFoundError):
        async with part:
            pytest.fail("opened the old name")


async def test_file_that_cannot_be_made_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run does not find an empty file."""
    monkeypatch.setattr(partfile, "open_private", _fail)
    with pytest.raises(OSError, match="no space"):
        await open_part_file(tmp_path, "new", REMOTE, NOW)
    assert runs(tmp_path) == set()


def _fail(*_: object) -> int:
    raise OSError(28, "no space")


async def test_clearing_keeps_what_a_run_can_continue(tmp_path: Path) -> None:
    """A file with its journal stays for a week; everything else is removed at once."""
    await leave_from_killed_run(tmp_path)
    (tmp_path / "0.killed").write_bytes(b"half a small file")
    (tmp_path / f"lonely{JOURNAL}").write_bytes(b"{}")
    clear(tmp_path, NOW - MAX_AGE)
    assert runs(tmp_path) == {"killed", "killed" + JOURNAL}
    clear(tmp_path, NOW)
    assert runs(tmp_path) == set()


async def test_file_that_vanishes_during_a_scan_is_ignored(tmp_path: Path) -> None:
    """Another run may publish it between listing the folder and reading the file's status."""
    scandir = os.scandir

    def scan_then_publish(folder: Path) -> contextlib.nullcontext[list[os.DirEntry[str]]]:
        with scandir(folder) as entries:
            listed = list(entries)
        (folder / "0.other").unlink()
        return contextlib.nullcontext(listed)

    (tmp_path / "0.killed").write_bytes(b"half a small file")
    killed = 512 * (tmp_path / "0.killed").stat().st_blocks
    with pytest.MonkeyPatch.context() as patch:  # pathlib calls it too
        patch.setattr(os, "scandir", scan_then_publish)
        (tmp_path / "0.other").write_bytes(b"the other run's")
        assert used_bytes(tmp_path) == killed
        (tmp_path / "0.other").write_bytes(b"the other run's")
        clear(tmp_path, NOW)
    assert runs(tmp_path) == set()


async def test_stale_files_of_covered_keys_are_removed(tmp_path: Path) -> None:
    """This run has listed the key and not used the file; its own and other keys' files stay."""
    await leave_from_killed_run(tmp_path)
    clear_stale(tmp_path, "killed", lambda _: True, NOW)
    assert runs(tmp_path) == {"killed", "killed" + JOURNAL}
    clear_stale(tmp_path, "new", lambda key: key != REMOTE.key, NOW)
    assert runs(tmp_path) == {"killed", "killed" + JOURNAL}
    clear_stale(tmp_path, "new", lambda key: key == REMOTE.key, NOW)
    assert runs(tmp_path) == set()


@pytest.mark.parametrize("head", [b"", b"{", b'{"key": "1hz/\xd1"}', b"[]", b'{"key": 1}'])
async def test_file_whose_journal_names_no_key_is_removed(tmp_path: Path, head: bytes) -> None:
    """No run can continue it, whichever keys this run covers."""
    journal = journal_of(await leave_from_killed_run(tmp_path))
    _, _, rest = journal.read_bytes().partition(b"\n")
    journal.write_bytes(head + b"\n" * bool(head) + rest * bool(head))
    clear_stale(tmp_path, "new", lambda _: False, NOW)
    assert runs(tmp_path) == set()

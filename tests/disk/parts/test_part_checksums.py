"""The CRC of a large object, made of those of the pieces that were written."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncsync.crc import Crc
from asyncsync.disk.parts import partfile
from asyncsync.disk.parts.partfile import PartFile, open_part_file, spans
from asyncsync.model import RemoteObject

PART, PIECE, SIZE = 1000, 100, 2345
"""Small ones, so that there are many pieces."""
CONTENT = bytes(number % 251 for number in range(SIZE))
REMOTE = RemoteObject("a.parquet", SIZE, "etag", 1)
ALL = (range(PART), range(PART, 2 * PART), range(2 * PART, SIZE))


def expected(data: bytes = CONTENT) -> int:
    """Return the CRC64NVME of these bytes."""
    crc = Crc("crc64nvme")
    crc.update(data)
    return int(crc.hexdigest(), 16)


async def write(part: PartFile, span: range, size: int, block: int) -> None:
    """Write so many of the missing bytes of a part, or as many as there are."""
    rest = part.missing(span)
    async with part:
        for start in range(rest.start, min(rest.start + size, rest.stop), block):
            stop = min(start + block, rest.start + size, rest.stop)
            part.write(span, CONTENT[start:stop])


def damage(path: Path, offset: int) -> None:
    """Change a byte."""
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff")


async def play(folder: Path, steps: Sequence[tuple[str, int, int]]) -> None:
    """Take these steps with an unfinished file, then complete it, and check its CRC."""
    part = await open_part_file(folder, "0", REMOTE, 1 << 62)
    for number, (step, which, size) in enumerate(steps):
        span = ALL[which]
        if step == "write" and span not in part:
            await write(part, span, size, 1 + size % 130)
        elif step == "forget":
            part.forget(span)
            assert part.missing(span) == span
        elif step == "damage":  # a power cut
            damage(part.path, span.start + size % len(span))
            part = await open_part_file(folder, f"d{number}", REMOTE, 1 << 62)
        elif step == "resume":
            here = [part.missing(span).start for span in ALL]
            part = await open_part_file(folder, f"r{number}", REMOTE, 1 << 62)
            again = [part.missing(span).start for span in ALL]
            assert all(one >= other for one, other in zip(again, here, strict=True))
    for span in reversed(ALL):
        if span not in part:
            await write(part, span, SIZE, 70)
    assert part.path.read_bytes() == CONTENT
    assert part.crc(ALL) == expected()
    assert part.crc(ALL[1:]) == expected(CONTENT[PART:])
    later = await open_part_file(folder, "later", REMOTE, 1 << 62)
    assert all(span in later for span in ALL)
    assert later.crc(ALL) == expected()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "write", "write", "forget", "resume", "damage"]),
            st.integers(0, 2),
            st.integers(1, PART),
        ),
        max_size=12,
    )
)
@example([("write", 0, 250), ("forget", 0, 1), ("write", 0, 333), ("resume", 0, 1)])
@example([("write", 1, PART), ("damage", 1, 555), ("write", 0, 1), ("resume", 0, 1)])
def test_pieces_in_any_order_give_the_crc_of_the_whole(
    steps: Sequence[tuple[str, int, int]],
) -> None:
    """Also those that an earlier run has written, and after some were forgotten or damaged."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(partfile, "PART", PART)
        patch.setattr(partfile, "PIECE", PIECE)
        assert tuple(spans(SIZE)) == ALL
        anyio.run(play, Path(folder), steps)


@pytest.mark.anyio
async def test_object_in_one_piece_has_its_crc(tmp_path: Path) -> None:
    """As from a server without ranges; an empty one has that of no bytes."""
    part = await open_part_file(tmp_path, "run", REMOTE, 1 << 62)
    whole = range(SIZE)
    await write(part, whole, SIZE, 100)
    assert part.crc([whole]) == expected()
    part.forget(whole)
    await write(part, whole, SIZE, SIZE)
    assert part.crc([whole]) == expected()
    assert part.crc([]) == part.crc([range(0)]) == 0


@pytest.mark.anyio
async def test_forgotten_part_has_no_crc(tmp_path: Path) -> None:
    """So none is told of bytes that are not there."""
    part = await open_part_file(tmp_path, "run", REMOTE, 1 << 62)
    await write(part, range(SIZE), SIZE, 100)
    part.forget(range(SIZE))
    with pytest.raises(KeyError):
        part.crc([range(SIZE)])

"""CRCs: those of the standards, of bytes that come in any blocks, and of neighbours."""

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.crc import CRC64NVME, Crc

POLYNOMIALS = {
    "crc64nvme": (64, 0x9A6C9329AC4BC9B5),
    "crc32": (32, 0xEDB88320),
    "crc32c": (32, 0x82F63B78),
}
"""Width and reflected polynomial of each."""
CHECKED = {"crc64nvme": "ae8b14860a799888", "crc32": "cbf43926", "crc32c": "e3069283"}
"""That of the digits 1 to 9, as the standards tell it."""
NAMES = pytest.mark.parametrize("name", POLYNOMIALS)


def slow_crc(name: str, data: bytes) -> str:
    """Return a CRC, bit by bit."""
    width, polynomial = POLYNOMIALS[name]
    value = ones = (1 << width) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return f"{value ^ ones:0{width // 4}x}"


def crc(name: str, *blocks: bytes | memoryview) -> str:
    """Return the CRC of blocks."""
    made = Crc(name)
    for block in blocks:
        made.update(block)
    return made.hexdigest()


@NAMES
def test_crc_is_that_of_the_standard(name: str) -> None:
    """Also of no bytes, with all its leading zeros."""
    assert crc(name, b"123456789") == slow_crc(name, b"123456789") == CHECKED[name]
    assert crc(name) == crc(name, b"") == "0" * len(CHECKED[name])


@given(st.sampled_from(sorted(POLYNOMIALS)), st.lists(st.binary()))
def test_blocks_may_have_any_sizes(name: str, blocks: Sequence[bytes]) -> None:
    """And be views of a buffer; the CRC so far may be looked at."""
    whole = b"".join(blocks)
    assert crc(name, *(memoryview(block) for block in blocks)) == slow_crc(name, whole)
    made = Crc(name)
    for block in blocks:
        made.update(block)
        made.hexdigest()
    assert made.hexdigest() == crc(name, whole)


@given(st.binary())
def test_crc32_is_that_of_zlib(data: bytes) -> None:
    """Which is tested elsewhere."""
    assert crc("crc32", data) == f"{zlib.crc32(data):08x}"


@given(st.lists(st.binary(min_size=1)))
def test_crcs_of_neighbours_give_that_of_both(pieces: Sequence[bytes]) -> None:
    """However many there are."""
    whole = 0
    for piece in pieces:
        whole = CRC64NVME.combine(whole, CRC64NVME.calc(piece), len(piece))
    assert f"{whole:016x}" == crc("crc64nvme", b"".join(pieces))


def test_crc_of_more_than_four_gibibytes_can_be_combined() -> None:
    """Its length fits."""
    length = (1 << 32) + 5
    zeros = CRC64NVME.calc(b"\0" * 5)
    step = CRC64NVME.calc(b"\0")
    for doubled in range(32):
        step = CRC64NVME.combine(step, step, 1 << doubled)
    combined = CRC64NVME.combine(step, zeros, 5)
    ones = CRC64NVME.calc(b"1")
    at_once = CRC64NVME.combine(ones, combined, length)
    in_two = CRC64NVME.combine(CRC64NVME.combine(ones, step, 1 << 32), zeros, 5)
    assert at_once == in_two

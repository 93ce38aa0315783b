"""The checksum that an answer tells: of the whole object, or none."""

import base64

import pytest

from asyncsync.http import Headers
from asyncsync.model import Checksum
from asyncsync.s3.checksums import parse_checksum

VALUES = {
    "crc64nvme": bytes(range(8)),
    "crc32": b"\xff\xfe\xfd\xfc",
    "crc32c": b"\x00\x00\x00\x01",
    "sha256": bytes(range(32)),
}


def told(type_: str = "FULL_OBJECT", **texts: str) -> Headers:
    """Return the headers of an answer that tells these checksums."""
    headers = {f"x-amz-checksum-{name}": text for name, text in texts.items()}
    return Headers({"etag": '"e"', **headers, "x-amz-checksum-type": type_})


def encoded(value: bytes) -> str:
    """Return a value as headers have it."""
    return base64.b64encode(value).decode()


@pytest.mark.parametrize("algorithm", VALUES)
def test_checksum_of_the_whole_object_is_found(algorithm: str) -> None:
    """For each algorithm that can be checked."""
    value = VALUES[algorithm]
    assert parse_checksum(told(**{algorithm: encoded(value)})) == Checksum(algorithm, value)


def test_cheapest_of_several_counts() -> None:
    """Whatever their order in the answer is."""
    texts = {name: encoded(value) for name, value in reversed(VALUES.items())}
    for algorithm, value in VALUES.items():
        assert parse_checksum(told(**texts)) == Checksum(algorithm, value)
        del texts[algorithm]
    assert parse_checksum(told(**texts)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64",
        "AAAAAAAAAA",  # without its padding
        "AAAAAAAAAAA=, AAAAAAAAAAA=",  # the header came twice
        "AAAA\u00e9AAAAAA=",
        encoded(bytes(7)),
        encoded(bytes(9)),
        encoded(bytes(8)) + "-3",
    ],
)
def test_malformed_checksum_is_none(text: str) -> None:
    """Then another one counts, if there is one."""
    assert parse_checksum(told(crc64nvme=text)) is None
    good = encoded(VALUES["crc32"])
    assert parse_checksum(told(crc64nvme=text, crc32=good)) == Checksum("crc32", VALUES["crc32"])


@pytest.mark.parametrize("type_", ["COMPOSITE", "", "full_object"])
def test_checksum_of_anything_else_is_none(type_: str) -> None:
    """As one that is composed of the checksums of parts."""
    assert parse_checksum(told(type_, crc64nvme=encoded(VALUES["crc64nvme"]))) is None


def test_checksum_without_a_type_is_none() -> None:
    """It may be a composed one: servers have not always said so."""
    value = encoded(VALUES["crc32c"])
    assert parse_checksum(Headers({"x-amz-checksum-crc32c": value})) is None
    assert parse_checksum(Headers({"x-amz-checksum-crc32c": value + "-3"})) is None
    assert parse_checksum(Headers()) is None
    assert parse_checksum(told()) is None


def test_unknown_algorithm_is_none() -> None:
    """SHA-1 is not trusted, and others are not known."""
    assert parse_checksum(told(sha1=encoded(bytes(20)), crc16=encoded(bytes(2)))) is None

"""What a brain and a mover say to each other comes out as it went in."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync import errors
from asyncsync.errors import AsyncSyncError, BucketError, RefusedError, TransferError
from asyncsync.model import Downloaded, Proof, Reason, RemoteObject, Transfer
from asyncsync.movers.lines import (
    LONGEST,
    Event,
    Reader,
    dealt_line,
    downloaded_line,
    encode,
    error_line,
    failed_line,
    parse_downloaded,
    parse_error,
    parse_transfer,
)
from asyncsync.paths import PLAIN
from asyncsync.report import Json

REMOTE = RemoteObject("a/b \udcff \U0001f600.parquet", 12, "tag", 1_767_225_600_123_456_000)
TRANSFER = Transfer(REMOTE, tuple(REMOTE.key.split("/")), Reason.MISSING)


def read(line: bytes) -> dict[str, object]:
    """Return the event of a line."""
    (event,) = Reader().events(line)
    return dict(event)


@pytest.mark.parametrize("seed", range(20))
def test_lines_come_out_whole_however_they_are_cut(seed: int) -> None:
    """A pipe cuts them anywhere."""
    rng = random.Random(seed)
    sent: list[Json] = [{"event": "x", "text": "\u00fc\n" * rng.randrange(50)} for _ in range(20)]
    rest, reader = b"".join(map(encode, sent)), Reader()
    got: list[Event] = []
    while rest:
        size = rng.randrange(1, 200)
        got += reader.events(rest[:size])
        rest = rest[size:]
    assert got == sent


def test_line_that_was_cut_off_is_no_event() -> None:
    """Its writer was killed."""
    assert list(Reader().events(b'{"event": "downloaded"}')) == []


@pytest.mark.parametrize(
    "data",
    [b"nonsense\n", b"[]\n", b'{"level": 1}\n', b"\xff\n", b"\n", b"x" * (LONGEST + 1)],
    ids=lambda d: d[:9],
)
def test_nonsense_is_refused(data: bytes) -> None:
    """Also a line without an end, before it fills the memory."""
    with pytest.raises(ValueError, match=r"."):
        list(Reader().events(data))


def test_longest_key_fits_on_a_line() -> None:
    """With its path, and a parts folder as deep as a path may be."""
    remote = replace(REMOTE, key="\U0001f600" * 256)
    line = dealt_line(Transfer(remote, ("\U0001f600" * 60,) * 20, Reason.MISSING), ("/p" * 2047, 1))
    assert len(line) < LONGEST


@given(st.text(st.characters(codec=None), min_size=1).filter(lambda key: key.strip("/")))
def test_transfer_comes_out_as_it_went_in(key: str) -> None:
    """Whatever its key is."""
    remote = replace(REMOTE, key=key)
    for path in (tuple(key.split("/")), ("another", "path")):
        transfer = Transfer(remote, path, Reason.MISSING)
        assert parse_transfer(read(dealt_line(transfer))) == transfer


@pytest.mark.parametrize(
    "version", [REMOTE, replace(REMOTE, size=7, etag="new", modified_ns=10**9)]
)
def test_outcome_comes_out_as_it_went_in(version: RemoteObject) -> None:
    """Also of another version than the one that was dealt."""
    proven = Proof.SIZE_AND_VERSION | Proof.MD5
    done = Downloaded(replace(TRANSFER, remote=version), 3, 0.125, 5, proven, PLAIN)
    event = read(downloaded_line(done, REMOTE, ("0-1.run", 77)))
    assert parse_downloaded(event, TRANSFER, PLAIN) == done
    assert (event["file"], event["inode"]) == ("0-1.run", 77)


def error_classes() -> list[type[AsyncSyncError]]:
    """Return all classes of errors that leave a run."""
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [
        kind
        for kind in found
        if issubclass(kind, AsyncSyncError) and not issubclass(kind, errors.TransientError)
    ]


def error_of(kind: type[AsyncSyncError]) -> AsyncSyncError:
    """Return one of this class, however it is made."""
    error = kind.__new__(kind, "why")
    Exception.__init__(error, "why")
    error.__dict__ |= {"found": "digest", "is_certain": False}
    if issubclass(kind, TransferError):
        error.__dict__["key"] = REMOTE.key
    return error


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_error_comes_out_as_it_went_in(kind: type[AsyncSyncError]) -> None:
    """With its class, message and hint, its exit code, and what else it holds."""
    error = error_of(kind)
    line = failed_line(REMOTE, error) if isinstance(error, TransferError) else error_line(error)
    got = parse_error(read(line))
    assert type(got) is kind
    assert (str(got), got.advice, got.exit_code) == (str(error), error.advice, error.exit_code)
    assert vars(got) == vars(error)


def test_error_within_an_error_comes_out_as_well() -> None:
    """What would end the run if there were more like it."""
    error = RefusedError("a", "no", "403 Odd", BucketError("no such bucket"))
    got = parse_error(read(failed_line(REMOTE, error)))
    assert isinstance(got, RefusedError)
    assert (got.reason, type(got.of_run), str(got.of_run)) == (
        "403 Odd",
        BucketError,
        "no such bucket",
    )


def test_events_about_objects_have_a_key_and_others_have_none() -> None:
    """The brain tells them apart by that."""
    assert "key" in json.loads(failed_line(REMOTE, errors.VanishedError("a", "gone")))
    assert "key" not in json.loads(error_line(errors.NetworkError("no way")))

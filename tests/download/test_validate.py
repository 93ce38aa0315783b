"""Listing, HEAD and GET must agree about one object."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from asyncsync.download.validate import check_answer, check_head, check_length, require_up_to_date
from asyncsync.errors import (
    ConnectionLostError,
    EncodedObjectError,
    IntegrityError,
    OutOfStepError,
    RemoteChangedError,
    RetriesExhaustedError,
    TransferError,
    VanishedError,
)
from asyncsync.interfaces import Body
from asyncsync.model import Fetched, Head, Page, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.pace import Pace, Tries
from asyncsync.times import format_http_date, parse_time

REMOTE = RemoteObject("1hz/a.parquet", 4, "v1", 0)


class HeadOnly:
    """A bucket that answers only HEAD, with the next answer each time."""

    def __init__(self, *answers: Head | Exception) -> None:
        self.answers = list(answers)

    async def head(self, key: str) -> Head:
        """Answer, or fail."""
        assert key == REMOTE.key
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def first_part(self, remote: RemoteObject) -> int:
        """Fail: it must not be called."""
        raise AssertionError

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Fail: it must not be called."""
        raise AssertionError

    async def fetch(self, remote: RemoteObject, *, asks: bool, as_stored: bool = False) -> Fetched:
        """Fail: it must not be called."""
        raise AssertionError

    def get(
        self, remote: RemoteObject, span: range | None = None, *, as_stored: bool = False
    ) -> AbstractAsyncContextManager[Body]:
        """Fail: it must not be called."""
        raise AssertionError


@pytest.fixture
def tries() -> Tries:
    """Two attempts, without a pause between them."""

    async def at_once(seconds: float) -> None:
        """Do not sleep."""

    return Pace(1, 1, 2, at_once).tries(REMOTE.key)


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize("etag", ["v1", 'W/"v1'])
def test_same_size_and_version_are_accepted(verb: str, etag: str) -> None:
    """What a proxy calls a weak version is the same one."""
    check_answer(REMOTE, Head(4, etag), verb)


def test_any_version_is_accepted_if_none_was_listed() -> None:
    """There is nothing to compare."""
    check_answer(RemoteObject("a", 4, "", 0), Head(4, "v2"), "GET")


@pytest.mark.parametrize("etag", ["", 'W/"v1'])
def test_without_a_strong_etag_the_time_must_be_the_listed_one(etag: str) -> None:
    """To the second, if both are known; with a strong ETag times are not compared."""
    modified = parse_time("2026-01-02T03:04:05.678Z")
    listed = RemoteObject("a", 4, etag, modified)
    for same in ("Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:06 GMT", "", "no time"):
        check_answer(listed, Head(4, etag, modified=same), "GET")
    check_answer(
        RemoteObject("a", 4, etag, 0), Head(4, etag, modified=format_http_date(modified)), "GET"
    )
    for other in ("Fri, 02 Jan 2026 03:04:07 GMT", "Fri, 02 Jan 2026 03:04:04 GMT"):
        check_answer(replace(listed, etag="v1"), Head(4, "v1", modified=other), "GET")
        with pytest.raises(RemoteChangedError, match=f"GET shows it modified {other}"):
            check_answer(listed, Head(4, etag, modified=other), "GET")


@pytest.mark.parametrize(
    ("head", "kind", "message"),
    [
        (Head(4, "v2"), RemoteChangedError, "GET shows version v2"),
        (Head(5, "v2"), RemoteChangedError, "GET shows version v2"),
        (Head(5, "v2", varies=True), RemoteChangedError, "GET shows version v2"),
        (Head(4, 'W/"v2'), RemoteChangedError, "GET shows version W/"),
        (Head(4, "V1"), RemoteChangedError, "GET shows version V1"),
        (Head(5, "v1", varies=True), EncodedObjectError, "GET says 5: .*decompress"),
        (Head(5, 'W/"v1', varies=True), EncodedObjectError, "GET says 5: .*decompress"),
        (Head(5, "v1"), IntegrityError, "listed with 4 bytes, but GET says 5"),
        (Head(0, ""), IntegrityError, "listed with 4 bytes, but GET says 0"),
        (Head(4, ""), IntegrityError, "listed with ETag v1, but the answer to GET has none"),
    ],
)
def test_difference_is_reported(head: Head, kind: type[TransferError], message: str) -> None:
    """Another version first, then another size of the same version, and why."""
    with pytest.raises(kind, match=message) as caught:
        check_answer(REMOTE, head, "GET")
    assert type(caught.value) is kind
    assert caught.value.key == REMOTE.key


def test_number_of_bytes_that_arrived_must_be_the_listed_one() -> None:
    """One byte more or less is an error that has both numbers."""
    check_length(REMOTE, 4)
    for size in (3, 5):
        with pytest.raises(IntegrityError, match=f"4 bytes, but {size} arrived"):
            check_length(REMOTE, size)


@pytest.mark.anyio
async def test_head_is_retried_after_a_transient_error(tries: Tries) -> None:
    """Within its attempts; then its answer is checked."""
    await check_head(REMOTE, HeadOnly(ConnectionLostError("cut"), Head(4, "v1")), tries)
    with pytest.raises(RemoteChangedError, match="HEAD shows version v2"):
        await check_head(REMOTE, HeadOnly(Head(4, "v2")), tries)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([ConnectionLostError("cut")] * 2, RetriesExhaustedError),
        ([VanishedError(REMOTE.key, "gone")], VanishedError),
    ],
)
async def test_head_without_an_answer_is_an_error(
    tries: Tries, answers: list[Exception], kind: type[TransferError]
) -> None:
    """Without an answer nothing is confirmed."""
    with pytest.raises(kind):
        await check_head(REMOTE, HeadOnly(*answers), tries)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (Reason.MISSING, "there is no file"),
        (Reason.SIZE_DIFFERS, "a different size"),
        (Reason.EDITED, "edited"),
        (Reason.UNSURE, "power cut"),
        (Reason.NEWER, "older than the object"),
    ],
)
def test_outdated_file_fails_with_its_reason(reason: Reason, message: str) -> None:
    """What is up to date is returned."""
    assert require_up_to_date(UpToDate(REMOTE)) is REMOTE
    with pytest.raises(OutOfStepError, match=message) as caught:
        require_up_to_date(Transfer(REMOTE, ("1hz", "a.parquet"), reason))
    assert caught.value.key == REMOTE.key

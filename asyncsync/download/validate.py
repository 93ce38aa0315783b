"""Check that the listing, HEAD, GET and the bytes of one object agree."""

from contextlib import suppress
from functools import partial

from asyncsync.errors import (
    EncodedObjectError,
    HeadRefusedError,
    IntegrityError,
    OutOfStepError,
    RemoteChangedError,
    TransferError,
)
from asyncsync.interfaces import Store
from asyncsync.keys import shown
from asyncsync.model import Head, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.pace import Pace, Tries
from asyncsync.times import parse_http_date

_SECOND = 1_000_000_000
_OUT_OF_STEP = {
    Reason.MISSING: "there is no file",
    Reason.SIZE_DIFFERS: "the file has a different size",
    Reason.NEWER: "the file is older than the object",
    Reason.EDITED: "the file was edited since it was downloaded",
    Reason.UNSURE: "a power cut may have damaged the file",
    Reason.UNPROVEN: "no hash proves that the file is the object",
    Reason.HASH_DIFFERS: "the file has other bytes",
}


async def check_head(remote: RemoteObject, store: Store, tries: Tries) -> Head | None:
    """Send a HEAD request for the object, and return its answer, checked against the listing.

    Where the endpoint allows only GET, there is no answer: the GET has to do.

    Raises:
        TransferError: as for `check_answer`, or the request failed.
        SourceError: the endpoint or the credentials failed.
    """
    try:
        head = await tries.run(partial(store.head, remote.key))
    except HeadRefusedError:
        return None
    check_answer(remote, head, "HEAD")
    return head


async def ask_first_part(remote: RemoteObject, store: Store, pace: Pace, tries: Tries) -> int:
    """Ask for the size of the first part the object was uploaded in; return 0 if none is told.

    Raises:
        SourceError: the endpoint or the credentials failed.
    """
    with suppress(TransferError):  # the file is complete, and proven by all else that there is
        async with pace.slot:
            return await tries.run(partial(store.first_part, remote))
    return 0


def require_up_to_date(found: UpToDate | Transfer) -> RemoteObject:
    """Return the object if the comparison found its file up to date.

    Raises:
        OutOfStepError: the file is missing or out of date; the error says why.
    """
    if isinstance(found, Transfer):
        raise OutOfStepError(found.remote.key, _OUT_OF_STEP[found.reason])
    return found.remote


def check_answer(remote: RemoteObject, head: Head, verb: str) -> None:
    """Check the headers of an answer against the listing.

    Args:
        remote: the object as it was listed.
        head: what the headers say.
        verb: of the request, `HEAD` or `GET`; for messages.

    Raises:
        RemoteChangedError: the answer is about another version.
        EncodedObjectError: the same version has another size, which depends on the encoding.
        IntegrityError: the same version has another size, or the answer has no ETag although the
            listing has one.
    """
    is_pinned = remote.is_pinned
    if is_pinned and (head.size, head.etag) == (remote.size, remote.etag):
        return
    if remote.etag and head.etag and not remote.has_version(head.etag):
        raise RemoteChangedError(
            remote.key, f"replaced since it was listed: {verb} shows version {head.etag}"
        )
    if not is_pinned and _was_modified(remote, head):
        raise RemoteChangedError(
            remote.key,
            f"replaced since it was listed: {verb} shows it modified {shown(head.modified)}",
        )
    if head.size != remote.size:
        text = f"listed with {remote.size} bytes, but {verb} says {head.size}"
        if head.varies:
            raise EncodedObjectError(remote.key, f"{text}: the server seems to decompress it")
        raise IntegrityError(remote.key, text)
    if is_pinned and not head.etag:
        raise IntegrityError(
            remote.key, f"listed with ETag {remote.etag}, but the answer to {verb} has none"
        )


def _was_modified(remote: RemoteObject, head: Head) -> bool:
    """Return whether Last-Modified, which has whole seconds, differs from the listed time."""
    seconds = parse_http_date(head.modified)
    if not remote.modified_ns or seconds is None:
        return False
    return abs(remote.modified_ns - int(seconds) * _SECOND) >= _SECOND


def check_length(remote: RemoteObject, size: int) -> None:
    """Check the number of bytes that were received for the whole object.

    Raises:
        IntegrityError: it differs from the listed size.
    """
    if size != remote.size:
        raise IntegrityError(remote.key, f"listed with {remote.size} bytes, but {size} arrived")

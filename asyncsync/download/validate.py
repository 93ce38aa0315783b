"""What the listing, HEAD and GET say of one object must agree, and the bytes with them."""

from functools import partial

from asyncsync.errors import EncodedObjectError, IntegrityError, OutOfStepError, RemoteChangedError
from asyncsync.interfaces import Store
from asyncsync.model import Head, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.pace import Tries
from asyncsync.times import parse_http_date

_SECOND = 1_000_000_000
_NO_TRANSFORM = "upload it with `Cache-Control: no-transform` or without the encoding"
_OUT_OF_STEP = {
    Reason.MISSING: "there is no file",
    Reason.SIZE_DIFFERS: "the file has another size",
    Reason.NEWER: "the file is older than the object",
    Reason.EDITED: "the file was edited since it was downloaded",
    Reason.UNSURE: "a power cut may have taken the file's content",
}


async def head_agrees(remote: RemoteObject, store: Store, tries: Tries) -> None:
    """Ask HEAD about the object and check the answer against the listing.

    Raises:
        TransferError: as for `agree`, or the question got no answer.
    """
    agree(remote, await tries.run(partial(store.head, remote.key)), "HEAD")


def in_step(found: UpToDate | Transfer) -> RemoteObject:
    """Return the object if its file was found in step with it.

    Raises:
        OutOfStepError: it was not; the error says why.
    """
    if isinstance(found, Transfer):
        raise OutOfStepError(found.remote.key, _OUT_OF_STEP[found.reason])
    return found.remote


def agree(remote: RemoteObject, head: Head, verb: str) -> None:
    """Check what the answer to `verb` says against the listing.

    Raises:
        RemoteChangedError: it speaks of another version.
        EncodedObjectError: the object is not served as the bytes that were listed.
        IntegrityError: it promises another size for the same version, or does not say which
            version it is about although the listing does.
    """
    if remote.etag and head.etag and head.etag != remote.etag:
        raise RemoteChangedError(
            remote.key, f"replaced since it was listed: {verb} shows version {head.etag}"
        )
    if not remote.is_pinned and _was_modified(remote, head):
        raise RemoteChangedError(
            remote.key, f"replaced since it was listed: {verb} shows it modified {head.modified}"
        )
    if head.encoding not in {"", "identity"}:
        raise EncodedObjectError(
            remote.key,
            f"stored with Content-Encoding {head.encoding}; {_NO_TRANSFORM}",
        )
    if head.size != remote.size:
        raise IntegrityError(
            remote.key,
            f"listed with {remote.size} bytes, but {verb} says {head.size}; if it is stored "
            f"compressed, {_NO_TRANSFORM}",
        )
    if remote.is_pinned and not head.etag:
        raise IntegrityError(
            remote.key, f"listed as version {remote.etag}, but {verb} does not say which it shows"
        )


def _was_modified(remote: RemoteObject, head: Head) -> bool:
    """Return whether a header, which holds whole seconds, shows another time than the listing."""
    seconds = parse_http_date(head.modified)
    if not remote.modified_ns or seconds is None:
        return False
    return abs(remote.modified_ns - int(seconds) * _SECOND) >= _SECOND


def arrived(remote: RemoteObject, size: int) -> None:
    """Check the number of bytes that were received for the whole object.

    Raises:
        IntegrityError: it is not the listed size.
    """
    if size != remote.size:
        raise IntegrityError(remote.key, f"listed with {remote.size} bytes, but {size} arrived")

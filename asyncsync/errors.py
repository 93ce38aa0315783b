"""Every error asyncsync raises. Where an error stands in the tree decides what happens next.

    AsyncSyncError
    ├── ConfigError                 settings missing or contradictory; nothing was sent      exit 2
    ├── SourceError                 the remote side ends the run                             exit 4
    │   ├── AuthError               credentials unknown, wrong, expired or without rights
    │   │   └── ClockError          this machine's clock is not the server's
    │   ├── BucketError             no such bucket at this endpoint
    │   ├── ListingError            the bucket could not be listed to its end
    │   ├── NetworkError            the endpoint cannot be reached
    │   ├── RedirectError           the endpoint points elsewhere, which is never followed
    │   └── TLSError                the endpoint's certificate is not acceptable
    ├── DestinationError            the local side ends the run                              exit 5
    │   ├── DiskFullError           no space, no inodes or no quota left
    │   ├── LockHeldError           another run works on the same folder                     exit 6
    │   └── MachineError            this machine has no memory or no threads left
    ├── TransferError               one object; the others go on                             exit 1
    │   ├── AccessDeniedError       this key may not be read
    │   ├── EncodedObjectError      stored compressed, so its bytes differ from its size
    │   ├── IntegrityError          what arrived is not what was promised
    │   ├── LocalFileError          this one path cannot be written
    │   ├── NotParquetError         named *.parquet and is none
    │   ├── OutOfStepError          the file is missing, of another size or older: found by `verify`
    │   ├── RangeIgnoredError       the server sends whole objects only, which is then done
    │   ├── RemoteChangedError      replaced since it was listed
    │   ├── RetriesExhaustedError   transient errors until the attempts ran out
    │   └── SkippedError            nothing can be done about it here                        exit 3
    │       ├── KeyCollisionError   two keys want one path
    │       ├── UnsafeKeyError      no safe local path exists for the key
    │       └── VanishedError       deleted since it was listed
    └── TransientError              worth another attempt; never leaves the retry loop
        ├── ClockCorrectedError     refused, but signed with the server's time by now
        ├── ConnectionLostError     cut, refused or not answered in time
        │   └── UnreachableError    no connection came about
        ├── CredentialsRenewedError refused, but the credentials are others by now
        ├── ProtocolError           the answer is not the HTTP or the S3 that was asked for
        ├── ServerError             the server says it failed
        └── ThrottledError          the server asks for fewer requests

Errors of other packages are translated once, where they enter (`http.py`, `s3.py`, `disk.py`), and
always raised `from` their cause. No message holds a secret, a signed URL or a request header.
"""

from typing import ClassVar


class AsyncSyncError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1
    hint: ClassVar[str] = ""
    """What to do about it, where the messages do not say."""

    @property
    def advice(self) -> str:
        """The message, and what to do about it."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class ConfigError(AsyncSyncError):
    """Settings are missing, malformed or contradict each other. Raised before any request."""

    exit_code = 2


def missing(package: str, extra: str) -> str:
    """Return what to say where a package of an extra is not installed."""
    return (
        f"{package} is not installed: it comes with the extra {extra}, "
        f"as by `pip install '.[{extra}]'` in a clone of asyncsync"
    )


class SourceError(AsyncSyncError):
    """The remote side ends the run."""

    exit_code = 4


class AuthError(SourceError):
    """The credentials are unknown, wrong, expired, or lack the right to list the bucket."""


class ClockError(AuthError):
    """The request is refused because this machine's clock is off."""

    def __init__(self, message: str, ahead: float | None) -> None:
        super().__init__(message)
        self.ahead = ahead
        """Seconds that it is ahead of the server's, None where that does not say."""


class BucketError(SourceError):
    """The endpoint knows no such bucket."""


class ListingError(SourceError):
    """The bucket could not be listed to its end, so nobody knows what is missing."""


class NetworkError(SourceError):
    """The endpoint cannot be reached."""

    hint = "check R2_ENDPOINT_URL, HTTPS_PROXY and the network"


class RedirectError(SourceError):
    """The endpoint redirects. Signed requests are never sent on to another host."""


class TLSError(SourceError):
    """The endpoint's certificate is not acceptable; no request was sent."""


class DestinationError(AsyncSyncError):
    """The local side ends the run: read-only, not writable, gone."""

    exit_code = 5
    hint = "choose another --dest, or let this user write there"


class DiskFullError(DestinationError):
    """No space, no inodes or no quota is left at the destination."""

    hint = "make room, or ask for fewer prefixes"


class LockHeldError(DestinationError):
    """Another run works on the same destination."""

    exit_code = 6
    hint = ""


class MachineError(DestinationError):
    """This machine, or a limit that is set on it, gives no more memory, threads or open files."""

    hint = "end something else, allow more (ulimit -v, -u, -n), or set --workers to a few"


class TransferError(AsyncSyncError):
    """One object could not be synced; the others go on."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class AccessDeniedError(TransferError):
    """The credentials may list this key but not read it."""

    hint = "the token may list, but not read: give it the permission Object Read"


class EncodedObjectError(TransferError):
    """The object is served with a Content-Encoding, so the bytes differ from the listed size."""


class IntegrityError(TransferError):
    """What arrived is not what the listing, HEAD or GET promised."""


class LocalFileError(TransferError):
    """The path of this one object cannot be read or written."""


class NotParquetError(TransferError):
    """The object is named `*.parquet`, but has not the beginning and the end of such a file."""

    def __init__(self, key: str, *, is_original: bool) -> None:
        super().__init__(
            key,
            "is not Parquet: no PAR1 at both ends, or no footer between them; "
            "`--no-parquet-check` takes it as it is",
        )
        self.is_original = is_original
        """Whether a hash shows that the bucket's object is so, and nothing happened on the way."""


class OutOfStepError(TransferError):
    """A verification found no file, or one to be fetched again: cut, older, edited or unsure."""


class RangeIgnoredError(TransferError):
    """The whole object was sent in place of a part. Never leaves `download.py`."""


class RemoteChangedError(TransferError):
    """The object was replaced since it was listed."""


class RetriesExhaustedError(TransferError):
    """Transient errors came until the attempts ran out; the last one is the cause."""


class SkippedError(TransferError):
    """Nothing can be done about this key here; all other work is not affected."""

    exit_code = 3


class KeyCollisionError(SkippedError):
    """Two keys want the same local path, or one wants a folder where the other wants a file."""


class UnsafeKeyError(SkippedError):
    """The key has no local path that is safely inside the destination."""


class VanishedError(SkippedError):
    """The object was deleted since it was listed."""


class TransientError(AsyncSyncError):
    """Worth another attempt."""


class ClockCorrectedError(TransientError):
    """The time of the request was refused, and by now the server's is known."""


class ConnectionLostError(TransientError):
    """The connection was refused, cut, or silent for too long."""


class UnreachableError(ConnectionLostError):
    """No connection came about. That says nothing about the object, so no attempt is counted."""

    hint = "check R2_ENDPOINT_URL; a firewall may want a proxy (HTTPS_PROXY)"


class CredentialsRenewedError(TransientError):
    """The credentials were refused, and where they come from there are others by now."""


class ProtocolError(TransientError):
    """The answer is not the HTTP or the S3 answer that was asked for."""


class ServerError(TransientError):
    """The server says that it failed."""


class ThrottledError(TransientError):
    """The server asks for fewer requests."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the server asks to wait, if it said so."""

"""Every error that asyncsync raises. Its place in the tree decides what happens next.

    AsyncSyncError
    ├── ConfigError                 settings missing or contradictory; nothing was sent      exit 2
    ├── SourceError                 the remote side ends the run                             exit 4
    │   ├── AuthError               credentials unknown, wrong, expired or without permission
    │   │   └── ClockError          this machine's clock differs from the server's
    │   ├── BucketError             no such bucket at this endpoint
    │   ├── ListingError            the bucket could not be listed to its end
    │   │   └── IncompleteListingError  it was, but the server's listings contradict each other
    │   ├── NetworkError            the endpoint cannot be reached
    │   ├── RedirectError           the endpoint redirects, which is never followed
    │   ├── StandstillError         every request fails, for minutes
    │   └── TLSError                the endpoint's certificate is not valid
    ├── DestinationError            the local side ends the run                              exit 5
    │   ├── BackupDirError          the folder for what is replaced cannot take it
    │   ├── ReportError             the file of the report cannot be written
    │   ├── DiskFullError           no space, no inodes or no quota left
    │   ├── LockHeldError           another run uses the same destination                    exit 6
    │   ├── MachineError            no memory, threads or open files left on this machine
    │   └── WorkerError             a worker of a cluster cannot write in the destination
    ├── TransferError               one object failed; the others go on                      exit 1
    │   ├── AccessDeniedError       the credentials may not read this key
    │   ├── EncodedObjectError      decompressed on the way, so its bytes differ from its size
    │   ├── HeadRefusedError        GET is allowed, and HEAD is not; checked by the GET alone
    │   ├── IntegrityError          the bytes are not those that were announced
    │   ├── LocalFileError          this one path cannot be read or written
    │   ├── NotParquetError         named *.parquet, but not a Parquet file
    │   ├── OutOfStepError          found by `verify`: the file is missing or not up to date
    │   ├── RangeIgnoredError       the server sends whole objects only; fetched whole instead
    │   ├── RefusedError            the endpoint refuses it; ten alike end the run
    │   ├── RemoteChangedError      replaced since it was listed
    │   ├── RetriesExhaustedError   transient errors until the attempts ran out
    │   └── SkippedError            this key cannot be synced here                           exit 3
    │       ├── AbsentError         named by the user, and not in the bucket
    │       ├── ArchivedError       in a storage class that must be restored first
    │       ├── KeyCollisionError   two keys need the same path
    │       ├── NoSuchKeyError      `get` was asked for it, and the bucket has none
    │       ├── UnsafeKeyError      the key has no safe local path
    │       └── VanishedError       deleted since it was listed
    └── TransientError              worth another attempt; never leaves the retry loop
        ├── ClockCorrectedError     time refused; requests now use the server's time
        ├── ConnectionLostError     connection cut, refused or silent for too long
        │   ├── SilentError         a new connection is left without an answer
        │   └── UnreachableError    no connection could be opened
        ├── CredentialsRenewedError credentials refused; there are new ones now
        ├── ProtocolError           the response is not valid HTTP or S3
        ├── RegionCorrectedError    sent to the wrong region; requests now go to the right one
        ├── ServerError             the server reports an error of its own
        └── ThrottledError          the server asks for fewer requests

Errors of other packages are translated once, where they enter: in `http/`, `s3/` and `disk/`. They
are always raised `from` their cause. No message has a secret, a signed URL or a request header.
"""

from typing import ClassVar

WORST_FIRST = (6, 2, 4, 5, 1, 3, 7)
"""Exit codes: of several, the first in this order counts, as docs/reliability.md says."""


class AsyncSyncError(Exception):
    """Base class of all errors of this package."""

    exit_code: ClassVar[int] = 1
    """The exit code of a command that ends with this error."""
    hint: ClassVar[str] = ""
    """What to do about it; empty where each message says it itself."""

    @property
    def advice(self) -> str:
        """The message and, if there is one, the hint."""
        return f"{self}; {self.hint}" if self.hint else str(self)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: no way through this package, of which a user knows nothing."""
        from asyncsync.tracebacks import shortened  # few errors are shown so

        return shortened(self.__traceback__, f"{type(self).__name__}: {self.advice}")


class ConfigError(AsyncSyncError):
    """Settings are missing, invalid or contradictory. Raised before any request."""

    exit_code = 2


def missing(package: str, extra: str) -> str:
    """Return the message for a package that is not installed and belongs to an extra."""
    return (
        f"{package} is not installed; it belongs to the extra {extra}: "
        f"run `pip install '.[{extra}]'` in a clone of asyncsync"
    )


NO_FOLDER = "there is no such folder; create it, or name another file"
"""What is wrong with the name of a file that is to be written."""


class SourceError(AsyncSyncError):
    """The remote side ends the run."""

    exit_code = 4


class AuthError(SourceError):
    """The credentials are unknown, wrong, expired, or may not list the bucket."""


class ClockError(AuthError):
    """The server refused a request because this machine's clock is wrong."""

    def __init__(self, message: str, ahead: float | None = None) -> None:
        super().__init__(message)
        self.ahead = ahead
        """Seconds by which it is ahead of the server's; None if the server's time is unknown."""


class BucketError(SourceError):
    """The endpoint has no such bucket."""


class ListingError(SourceError):
    """The bucket could not be listed to its end, so some missing objects may be unknown."""


class IncompleteListingError(ListingError):
    """The server's listings contradict each other, so none of them can be believed to be complete.

    Whatever any of them has shown was handled.
    """

    hint = (
        "run again, in case the bucket was being changed; if it stays so, give PREFIXes that are "
        "smaller, and tell whoever runs the server"
    )


class NetworkError(SourceError):
    """The endpoint cannot be reached."""

    hint = "check the endpoint, HTTPS_PROXY and the network"


class RedirectError(SourceError):
    """The endpoint redirects. Signed requests are never sent to another host."""


class StandstillError(SourceError):
    """The endpoint can be reached, but for minutes all requests failed and nothing new came."""

    hint = "try again later; the next run goes on from here"


class TLSError(SourceError):
    """The endpoint's certificate is not valid, or TLS failed otherwise. No request was sent."""


class DestinationError(AsyncSyncError):
    """The local side ends the run: the destination is read-only, not writable or gone."""

    exit_code = 5
    hint = "choose another --dest, or let this user write there"


class BackupDirError(DestinationError):
    """The folder of `--backup-dir` cannot take the files that are replaced."""

    hint = "choose another --backup-dir, on the disk of the destination"


class ReportError(DestinationError):
    """The file of `--report` cannot be written."""

    hint = "name another file with --report; the report of this run is lost"


class DiskFullError(DestinationError):
    """No space, no inodes or no quota is left at the destination."""

    hint = "make room, or sync fewer prefixes"


class LockHeldError(DestinationError):
    """Another run uses the same destination."""

    exit_code = 6
    hint = ""


class MachineError(DestinationError):
    """No memory, threads or open files are left, on this machine or within a limit set on it."""

    hint = "stop other programs, raise the limit (ulimit -v, -u, -n), or set a low --workers"


class WorkerError(DestinationError):
    """A worker of a cluster cannot write in the destination, or sees another folder there."""

    hint = (
        "mount the destination at the same path on all workers, for the same user, or choose "
        "another one"
    )

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"the worker {address} cannot write in the destination: {why}")


class TransferError(AsyncSyncError):
    """One object could not be synced. The others go on.

    Attributes:
        key: The object's key.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class AccessDeniedError(TransferError):
    """The credentials may list this key but not read it."""

    hint = (
        "the token may list, but not read: give it the permission Object Read; where requesters "
        "pay for the bucket, it wants --request-payer"
    )


class EncodedObjectError(TransferError):
    """The object does not come as it is stored: a server on the way decompresses it."""

    hint = "upload it without a Content-Encoding, or with `Cache-Control: no-transform`"


class HeadRefusedError(TransferError):
    """The endpoint refuses HEAD for this object, though not GET. Never leaves `download/`."""

    hint = "--validate response asks for no HEAD"


class IntegrityError(TransferError):
    """The bytes that arrived are not those that the listing, HEAD or GET announced."""

    def __init__(self, key: str, message: str, *, found: str = "") -> None:
        super().__init__(key, message)
        self.found = found
        """A digest of the bytes, so that the same ones are known again; empty if none was made."""


class LocalFileError(TransferError):
    """The path of this one object cannot be read or written."""


class NotParquetError(TransferError):
    """The object is named `*.parquet`, but does not begin and end like a Parquet file."""

    def __init__(self, key: str, *, is_original: bool, found: str = "") -> None:
        super().__init__(
            key,
            "is not Parquet: no PAR1 at both ends, or no footer between them; "
            "`--no-parquet-check` accepts it as it is",
        )
        self.is_original = is_original
        """Whether a hash proves that the object in the bucket is like this too."""
        self.found = found
        """As for `IntegrityError`."""


class OutOfStepError(TransferError):
    """A verification found no file, or one that is not up to date: cut, older, edited or unsure."""


class RangeIgnoredError(TransferError):
    """The server sent the whole object instead of a part. Never leaves `download/download.py`."""


class RefusedError(TransferError):
    """The endpoint refuses the requests for this object, for good.

    Attributes:
        reason: the status and the code of the answer.
        of_run: what ends the run if too many objects are refused like that.
    """

    def __init__(self, key: str, message: str, reason: str, of_run: SourceError) -> None:
        super().__init__(key, message)
        self.reason = reason
        self.of_run = of_run


class RemoteChangedError(TransferError):
    """The object was replaced since it was listed."""


class RetriesExhaustedError(TransferError):
    """Transient errors used up all attempts. The last one is the cause."""


class SkippedError(TransferError):
    """This key cannot be synced here. No other object is affected."""

    exit_code = 3


class AbsentError(SkippedError):
    """The user has named this key, and the bucket does not have it."""

    def __init__(self, key: str) -> None:
        hint = "; give the PREFIX of a folder as an argument" if key.endswith("/") else ""
        super().__init__(key, f"not in the bucket{hint}")


class ArchivedError(SkippedError):
    """The object is in an archive, from which nothing is read before it is restored."""

    def __init__(self, key: str, archive: str = "") -> None:
        of_class = f" ({archive})" if archive else ""
        super().__init__(
            key,
            f"archived{of_class}; restore it to a storage class that can be read, or exclude it "
            "(--exclude)",
        )


class KeyCollisionError(SkippedError):
    """Two keys need the same local path, or one needs a folder where the other needs a file."""


class NoSuchKeyError(SkippedError):
    """The bucket has no object of this key, which was asked for by name."""


class UnsafeKeyError(SkippedError):
    """The key has no local path that is certain to be inside the destination."""


class VanishedError(SkippedError):
    """The object was deleted since it was listed."""

    def __init__(self, key: str, message: str, *, is_certain: bool = True) -> None:
        super().__init__(key, message)
        self.is_certain = is_certain
        """Whether the bucket says so, and not merely somebody on the way: "not found"."""


class TransientError(AsyncSyncError):
    """Worth another attempt."""


class ClockCorrectedError(TransientError):
    """The server refused the time of the request. Its own time is known now."""


class ConnectionLostError(TransientError):
    """The connection was refused, cut, or silent for too long."""

    def __init__(self, message: str = "", silence: float = 0.0) -> None:
        super().__init__(message)
        self.silence = silence
        """Seconds for which nothing had come."""


class SilentError(ConnectionLostError):
    """A new connection was opened, and no byte of an answer came on it in time."""


class UnreachableError(ConnectionLostError):
    """No connection could be opened. It is not the object's fault, so no attempt is counted."""

    hint = "check the endpoint; behind a firewall, set a proxy (HTTPS_PROXY)"


class CredentialsRenewedError(TransientError):
    """The credentials were refused, but their source has new ones now."""


class ProtocolError(TransientError):
    """The response is not valid HTTP or S3, or not the one that was asked for."""


class RegionCorrectedError(TransientError):
    """The bucket is in another region than the request was meant for. It is known now."""


class ServerError(TransientError):
    """The server reports an error of its own."""


class ThrottledError(TransientError):
    """The server asks for fewer requests."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds to wait as the server asks; None if it does not say."""

"""Objects, transfers and outcomes that were never on a server."""

from asyncsync.errors import IntegrityError, TransferError
from asyncsync.model import (
    Compared,
    Downloaded,
    Failed,
    Outcome,
    Proof,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)
from asyncsync.report import Report

MB = 1_000_000
HASHED = Proof.SIZE_AND_VERSION | Proof.MD5_OF_PARTS


def remote(key: str, size: int = 10 * MB, modified_ns: int = 0) -> RemoteObject:
    """Return an object."""
    return RemoteObject(key, size, "etag", modified_ns)


def transfer(
    key: str, size: int = 10 * MB, reason: Reason = Reason.MISSING, modified_ns: int = 0
) -> Transfer:
    """Return a transfer of an object."""
    return Transfer(remote(key, size, modified_ns), tuple(key.split("/")), reason)


def downloaded(done: Transfer) -> Downloaded:
    """Return the outcome of a transfer that succeeded."""
    return Downloaded(done, 1, 0.1)


def failed(
    key: str,
    kind: type[TransferError] = IntegrityError,
    message: str = "why",
    size: int = 10 * MB,
) -> Failed:
    """Return the outcome of a transfer that failed."""
    return Failed(remote(key, size), kind(key, message))


def page(*transfers: Transfer, up_to_date: int = 0) -> Compared:
    """Return a page of a listing with these transfers, and so many files that are up to date."""
    known = [UpToDate(remote(str(number), 1)) for number in range(up_to_date)]
    return Compared(list(transfers), known, [])


def report_of(*outcomes: Outcome) -> Report:
    """Return the report of these outcomes."""
    report = Report()
    for outcome in outcomes:
        report.ended(outcome)
    return report

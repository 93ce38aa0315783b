"""Bring a local folder in step with a Cloudflare R2 (S3-compatible) bucket of Parquet files."""

from typing import TYPE_CHECKING

from asyncsync.api import Plan, plan, run, stream, sync, verify
from asyncsync.errors import (
    AsyncSyncError,
    ConfigError,
    DestinationError,
    SourceError,
    TransferError,
)
from asyncsync.interfaces import Observer, SilentObserver
from asyncsync.model import Downloaded, Failed, Outcome, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.report import Report, Tally

if TYPE_CHECKING:
    from asyncsync.progress import Bars

__version__ = "0.1.0"

__all__ = [
    "AsyncSyncError",
    "Bars",
    "ConfigError",
    "DestinationError",
    "Downloaded",
    "Failed",
    "Observer",
    "Outcome",
    "Plan",
    "Reason",
    "RemoteObject",
    "Report",
    "SilentObserver",
    "SourceError",
    "Tally",
    "Transfer",
    "TransferError",
    "UpToDate",
    "__version__",
    "plan",
    "run",
    "stream",
    "sync",
    "verify",
]


def __getattr__(name: str) -> object:
    """Import the bars when they are asked for: whoever draws none need not wait for tqdm."""
    if name == "Bars":
        from asyncsync.progress import Bars

        return Bars
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Sync a Cloudflare R2 (S3-compatible) bucket of Parquet files to a local folder."""

TYPE_CHECKING = False  # importing `typing` would take longer than all of this module
if TYPE_CHECKING:
    from asyncsync.api import plan, run, stream, sync, verify
    from asyncsync.browse import Entry, ListedFolder, ListedObject, Usage
    from asyncsync.browsing import du, get, ls
    from asyncsync.errors import (
        AsyncSyncError,
        ConfigError,
        DestinationError,
        SourceError,
        TransferError,
    )
    from asyncsync.interfaces import Observer, SilentObserver
    from asyncsync.keys import shown
    from asyncsync.model import (
        Downloaded,
        Failed,
        Outcome,
        Reason,
        RemoteObject,
        Transfer,
        UpToDate,
    )
    from asyncsync.progress import Bars
    from asyncsync.report import NewFile, NewFiles, Plan, Report, Tally

__version__ = "0.1.0"

__all__ = [
    "AsyncSyncError",
    "Bars",
    "ConfigError",
    "DestinationError",
    "Downloaded",
    "Entry",
    "Failed",
    "ListedFolder",
    "ListedObject",
    "NewFile",
    "NewFiles",
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
    "Usage",
    "__version__",
    "du",
    "get",
    "ls",
    "plan",
    "run",
    "shown",
    "stream",
    "sync",
    "verify",
]


_HOMES = {
    "api": ["plan", "run", "stream", "sync", "verify"],
    "browse": ["Entry", "ListedFolder", "ListedObject", "Usage"],
    "browsing": ["du", "get", "ls"],
    "errors": ["AsyncSyncError", "ConfigError", "DestinationError", "SourceError", "TransferError"],
    "interfaces": ["Observer", "SilentObserver"],
    "keys": ["shown"],
    "model": ["Downloaded", "Failed", "Outcome", "Reason", "RemoteObject", "Transfer", "UpToDate"],
    "progress": ["Bars"],
    "report": ["NewFile", "NewFiles", "Plan", "Report", "Tally"],
}
"""The module that each public name comes from."""


if not TYPE_CHECKING:  # or type checkers would accept every name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used.

        So the command line can decide what an interrupt does before it imports the rest.
        """
        from importlib import import_module

        for home, names in _HOMES.items():
            if name in names:
                value: object = getattr(import_module(f"asyncsync.{home}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

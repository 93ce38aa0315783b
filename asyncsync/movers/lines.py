"""What a brain and a mover say to each other: one JSON object a line.

The events and their fields are those of `plan --json` and `sync --json`, as far as these have them.

    to a mover      start, transfer, throttled, progress, taken, credentials, end
    from a mover    ready, started, kept, advanced, downloaded, failed, skipped, returned, error,
                    unable, notice, log, throttled, take, renew, reload, alive

A transfer names its parts folder only where that is not the usual one. An outcome names the version
of the object only where that is not the one that was dealt. `error` ends the run, and `unable` only
the mover. `returned` is an object that this mover cannot fetch, but the brain may. What is about an
object has its `key`, and nothing else has one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, reduce
from operator import or_
from typing import Any

from asyncsync import errors
from asyncsync.errors import AsyncSyncError, TransferError
from asyncsync.model import Downloaded, Failed, Proof, Reason, RemoteObject, Transfer
from asyncsync.paths import Paths
from asyncsync.report import Json, outcome_json, transfer_json
from asyncsync.times import parse_time

LONGEST = 1 << 20
"""Bytes of a line: a key has 1,024, and each may take 12 in JSON."""

Event = Mapping[str, Any]
"""A line that was read. Its two ends are of one version, so what it holds is not doubted."""


_encoder = json.JSONEncoder(check_circular=False)


def encode(event: Json) -> bytes:
    """Return an event as a line."""
    return _encoder.encode(event).encode() + b"\n"


class Reader:
    """Cuts what comes from a pipe into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def events(self, data: bytes) -> Iterator[Event]:
        """Yield the events of the lines that are complete now.

        Raises:
            ValueError: a line is no event, or too long.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            raise ValueError("a line is too long")
        # All at once: to begin with each line anew takes longer than to read it.
        events = json.loads(b"[%b]" % b",".join(lines))
        if len(events) != len(lines) or not all(map(_is_event, events)):
            raise ValueError("a line is no event")
        yield from events


def _is_event(found: object) -> bool:
    return isinstance(found, dict) and "event" in found


# transfers and outcomes -------------------------------------------------------------------------


def dealt_line(transfer: Transfer, place: tuple[str, int] | None = None) -> bytes:
    """Return the line that deals a transfer to a mover.

    Args:
        transfer: which object, and its path.
        place: the parts folder and its inode, if that is not the usual one.
    """
    event = transfer_json(transfer)
    return encode(event if place is None else event | {"parts": place[0], "inode": place[1]})


def parse_transfer(event: Event) -> Transfer:
    """Return the transfer of a line."""
    key = event["key"]
    remote = RemoteObject(key, event["size"], event["etag"], parse_time(event["modified"]))
    return Transfer(remote, tuple(event.get("path", key).split("/")), Reason(event["reason"]))


def downloaded_line(done: Downloaded, dealt: RemoteObject, written: tuple[str, int]) -> bytes:
    """Return the line about an object whose file is written.

    Args:
        done: the outcome.
        dealt: the version that was to be fetched.
        written: what the file is called, and its inode.
    """
    event = outcome_json(done)
    if done.remote == dealt:
        for name in ("size", "etag", "modified", "reason"):
            event.pop(name, None)
    kept = {"kept": done.kept} if done.kept else {}
    return encode(event | kept | {"file": written[0], "inode": written[1]})


_PROOFS = {name: proof for proof in Proof for name in proof.names}


@cache
def _proof(*names: str) -> Proof:
    """Return what was proven, as most objects of a run have it alike."""
    return reduce(or_, (_PROOFS[name] for name in names), Proof(0))


def parse_downloaded(event: Event, transfer: Transfer, paths: Paths) -> Downloaded:
    """Return the outcome of a line about a transfer; its file has no name yet."""
    proven = _proof(*event["proven"])
    if "etag" in event:
        modified_ns = parse_time(event["modified"])
        remote = RemoteObject(transfer.remote.key, event["size"], event["etag"], modified_ns)
        transfer = replace(transfer, remote=remote)
    attempts, seconds, kept = event["attempts"], event["seconds"], event.get("kept", 0)
    return Downloaded(transfer, attempts, seconds, kept, proven, paths)


# errors -----------------------------------------------------------------------------------------


def failed_line(remote: RemoteObject, error: TransferError) -> bytes:
    """Return the line about an object that failed or was skipped."""
    return encode({**outcome_json(Failed(remote, error)), "details": _details(error)})


def error_line(error: AsyncSyncError) -> bytes:
    """Return the line about what ends the run."""
    return encode({"event": "error", **_error_json(error)})


def _error_json(error: AsyncSyncError) -> Json:
    name, details = type(error).__name__, _details(error)
    return {"error": name, "message": error.advice, "details": details}


def _details(error: AsyncSyncError) -> Json:
    """Return what an error holds beside its message."""
    return {
        name: _error_json(value) if isinstance(value, AsyncSyncError) else value
        for name, value in vars(error).items()
    }


def parse_error(event: Event) -> AsyncSyncError:
    """Return the error of a line."""
    kind = getattr(errors, event["error"])
    message = event["message"].removesuffix(f"; {kind.hint}" if kind.hint else "")
    error: AsyncSyncError = kind.__new__(kind, message)
    Exception.__init__(error, message)
    for name, value in event["details"].items():
        setattr(error, name, parse_error(value) if isinstance(value, dict) else value)
    return error

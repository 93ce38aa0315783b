"""A simulated mover: it answers what a brain deals, and fetches nothing.

`brain.py` starts it in the place of a real mover, on the same pipes. What it answers with is a real
file, made as a mover makes it, but empty. Each object takes a fixed time, one after the other, in
which it sleeps: so eight of them are eight slow cores, also on a machine with two.
"""

import os
import sys
import time
from collections.abc import Iterator

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.publish import write_unfinished
from asyncsync.model import Downloaded, Proof, Transfer
from asyncsync.movers.lines import Event, Reader, downloaded_line, encode, parse_transfer

SECONDS = "ASYNCSYNC_SIMULATED_SECONDS"
"""The variable that says how long an object takes."""
_READ_SIZE = 64 * 1024
_PATIENCE = 0.001
"""Seconds by which an answer may be early: a sleep for each object would be a cost of its own."""


def main() -> int:
    """Answer until the brain closes the pipe; return the exit code."""
    events = _events()
    orders = next(events)[0]
    number, terms, seconds = orders["number"], orders["terms"], float(os.environ[SECONDS])
    _send(encode({"event": "ready"}))
    with Directory.walk(terms["parts"], ()) as folder:
        count, free_at = 0, 0.0
        for arrived in events:
            lines: list[bytes] = []
            for event in arrived:
                if event["event"] != "transfer":
                    continue
                transfer = parse_transfer(event)
                name = f"{number}-{count}.{terms['run']}"
                count += 1
                free_at = max(free_at, time.monotonic()) + seconds
                lines.append(_answer(folder, name, transfer))
                if (early := free_at - time.monotonic()) > _PATIENCE:
                    time.sleep(early)
                    _send(b"".join(lines))
                    lines.clear()
            _send(b"".join(lines))
    return 0


def _answer(folder: Directory, name: str, transfer: Transfer) -> bytes:
    inode = write_unfinished(folder, name, transfer, b"", flushes=False)
    done = Downloaded(transfer, 1, 0.0, proven=Proof.SIZE_AND_VERSION)
    return downloaded_line(done, transfer.remote, (name, inode))


def _events() -> Iterator[list[Event]]:
    reader = Reader()
    while data := os.read(0, _READ_SIZE):
        if found := list(reader.events(data)):
            yield found


def _send(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    sys.exit(main())

"""A mover that goes wrong: `python -m tests.rigs.odd_mover KIND`, in the place of a real one.

dies, cut, garbage, stops    with its first transfer
fails                        by a mistake in it
deaf                         reads nothing and does nothing
unable                       can do nothing
slow-down                    the first one is told to slow down, and the others tell of it
"""

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

from asyncsync import moving
from asyncsync.movers import Event, process

_MAIN = (
    "import sys; sys.path[:] = sys.argv[2:]; from tests.rigs import odd_mover;"
    "sys.exit(odd_mover.main(sys.argv[1]))"
)


def command(kind: str) -> list[str]:
    """Return the command of one."""
    found = _usual()
    at = found.index("-c")
    return [
        *found[: at + 1],
        _MAIN,
        kind,
        *found[at + 2 :],
    ]


_usual = process._command


def main(kind: str) -> int:
    """Be one."""
    global _output
    _output = os.dup(1)  # which a mover takes away
    moving.GRACE = 60  # so that none is cut short on a busy machine
    if kind == "deaf":
        time.sleep(600)
    usual = moving._events

    async def events(brain: int) -> AsyncIterator[Event]:
        number = -1
        async for event in usual(brain):
            if event["event"] == "start":
                number = event["number"]
            if event["event"] == "transfer":
                go_wrong(kind, number)
            if event["event"] == "throttled" and kind == "slow-down":
                said = f"mover {number} slows down for {event['retry_after']} s"
                say({"event": "notice", "message": said, "urgent": False})
            yield event

    moving._events = events  # type: ignore[assignment]
    return moving.main(os.getppid())


_has_gone_wrong = False
_output = 1


def go_wrong(kind: str, number: int) -> None:
    """Do it."""
    global _has_gone_wrong
    if _has_gone_wrong:
        return
    _has_gone_wrong = True
    match kind:
        case "dies":
            os._exit(3)
        case "cut":
            os.write(_output, b'{"event": "downloaded", "key": "')
            os._exit(0)
        case "garbage":
            os.write(_output, b"nonsense\n")
        case "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "fails":
            raise KeyError("a mistake")
        case "unable":
            say({"event": "unable", "message": "no room"})
            os._exit(0)
        case "slow-down":
            if number == 0:
                say({"event": "throttled", "retry_after": 0.01})


def say(event: dict[str, Any]) -> None:
    """Write a line to the brain."""
    os.write(_output, json.dumps(event).encode() + b"\n")

"""What movers ask their brain for: bytes of the one rate, credentials, and to tell the user."""

import logging

from anyio.abc import TaskGroup

from asyncsync.errors import AsyncSyncError
from asyncsync.interfaces import Observer, Urgent
from asyncsync.movers.asking import credentials_json
from asyncsync.movers.hire import Hire
from asyncsync.movers.lines import Event, encode
from asyncsync.movers.process import Mover
from asyncsync.threads import in_thread

logger = logging.getLogger(__name__)

MOST_NOTICES = 100
"""Messages that are told, each of them once."""


class Errands:
    """Runs the errands of the movers of a run.

    Args:
        hire: has the credentials and the limit.
        observer: is told what a person should know.
        group: runs what takes a while.
    """

    def __init__(self, hire: Hire, observer: Observer, group: TaskGroup) -> None:
        self._hire = hire
        self._observer = observer
        self._group = group
        self._told: set[str] = set()

    def run(self, mover: Mover, event: Event) -> None:
        """Do what a mover's event asks for."""
        match event["event"]:
            case "notice":
                self._tell(event["message"], is_urgent=event["urgent"])
            case "log":
                logger.log(event["level"], "mover %d: %s", mover.number, event["message"])
            case "take":
                self._group.start_soon(self._take, mover, event["bytes"])
            case "renew" | "reload":
                self._group.start_soon(self._renew, mover, event["event"])

    def _tell(self, message: str, *, is_urgent: bool) -> None:
        """Tell the user, unless another mover has said the same."""
        if message not in self._told and len(self._told) < MOST_NOTICES:
            self._told.add(message)
            self._observer.noticed(Urgent(message) if is_urgent else message)

    async def _take(self, mover: Mover, size: int) -> None:
        if self._hire.limit:
            await self._hire.limit.take(size)
        mover.send(encode({"event": "taken"}))

    async def _renew(self, mover: Mover, how: str) -> None:
        """Renew the credentials, or read them again, and tell a mover."""
        found = self._hire.settings
        try:
            if how == "renew" and found.renew:
                new = await in_thread(found.renew)
            elif found.reload:
                new = (await in_thread(found.reload)).credentials
            else:
                new = found.credentials
        except AsyncSyncError as error:
            mover.send(encode({"event": "credentials", "error": str(error)}))
        else:
            mover.send(encode({"event": "credentials", **credentials_json(new)}))

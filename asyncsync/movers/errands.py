"""What movers ask their brain for: bytes of the one rate, credentials, and to tell the user."""

import logging
from dataclasses import replace

from anyio import Lock
from anyio.abc import TaskGroup

from asyncsync.errors import AsyncSyncError, ConfigError
from asyncsync.interfaces import Urgent
from asyncsync.model import Credentials
from asyncsync.movers.asking import credentials_json
from asyncsync.movers.hire import Hire
from asyncsync.movers.lines import Event, encode
from asyncsync.movers.process import Mover
from asyncsync.threads import in_thread

logger = logging.getLogger(__name__)


class Errands:
    """Runs the errands of the movers of a run.

    Args:
        hire: has the credentials and the limit, and tells what a person should know.
        group: runs what takes a while.
    """

    def __init__(self, hire: Hire, group: TaskGroup) -> None:
        self._hire = hire
        self.settings = hire.settings
        """With the credentials as they were read last."""
        self._group = group
        self._changing = Lock()

    def run(self, mover: Mover, event: Event) -> None:
        """Do what a mover's event asks for."""
        match event["event"]:
            case "notice":
                message = event["message"]
                self._hire.notice(Urgent(message) if event["urgent"] else message)
            case "log":
                logger.log(event["level"], "mover %d: %s", mover.number, event["message"])
            case "take":
                self._group.start_soon(self._take, mover, event["bytes"])
            case "renew" | "reload":
                self._group.start_soon(self._renew, mover, event)

    async def _take(self, mover: Mover, size: int) -> None:
        if self._hire.limit:
            await self._hire.limit.take(size)
        mover.send(encode({"event": "taken"}))

    async def _renew(self, mover: Mover, event: Event) -> None:
        """Renew the credentials, or read them again, and tell a mover."""
        try:
            async with self._changing:
                if event["event"] == "renew":
                    new = await self._renewed()
                elif event["access_key_id"] == self.settings.access_key_id:
                    new = await self._read_again()
                else:  # for another mover they were read again already
                    new = self.settings.credentials
        except AsyncSyncError as error:
            mover.send(encode({"event": "credentials", "error": str(error)}))
        else:
            mover.send(encode({"event": "credentials", **credentials_json(new)}))

    async def _renewed(self) -> Credentials:
        if renew := self.settings.renew:
            new = await in_thread(renew)
            self.settings = replace(
                self.settings,
                access_key_id=new.access_key_id,
                secret_access_key=new.secret_access_key,
                session_token=new.session_token,
            )
        return self.settings.credentials

    async def _read_again(self) -> Credentials:
        if reload := self.settings.reload:
            found = await in_thread(reload)
            if found.endpoint_url != self.settings.endpoint_url:
                raise ConfigError("they are for another endpoint now, so start another run")
            self.settings = found
        return self.settings.credentials

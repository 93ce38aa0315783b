"""What a mover asks its brain for, and waits: its share of the rate, and credentials."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from asyncsync.errors import AuthError
from asyncsync.model import Credentials, Settings
from asyncsync.movers.lines import Event, encode
from asyncsync.secret import Secret


class AskedLimit:
    """The brain's limit of the rate, as `pace.Limit`: all movers of a run share it.

    Args:
        send: sends a line to the brain.
    """

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, size: int) -> None:
        """Take so many bytes, and wait until their time has come."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._send(encode({"event": "take", "bytes": size}))
        await turn

    def taken(self) -> None:
        """Note that the time of the bytes has come that were asked for first."""
        turn = self._waiting.popleft()
        if not turn.done():
            turn.set_result(None)


class AskedCredentials:
    """The brain's credentials, which it renews and reads again for all movers.

    Args:
        send: sends a line to the brain; called in the loop's thread.
        loop: the event loop.
    """

    def __init__(self, send: Callable[[bytes], object], loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._loop = loop
        self._waiting: deque[asyncio.Future[Credentials]] = deque()
        self._own_id = ""
        """The access key id of those that this mover has."""

    def settings(self, given: Settings, *, renews: bool, reloads: bool) -> Settings:
        """Return the settings with what renews these credentials, as far as the brain can."""
        self._own_id = given.access_key_id

        def renew() -> Credentials:
            return self._ask("renew")

        def reload() -> Settings:
            new = self._ask("reload")
            return replace(
                found,
                access_key_id=new.access_key_id,
                secret_access_key=new.secret_access_key,
                session_token=new.session_token,
            )

        found = replace(given, renew=renew if renews else None, reload=reload if reloads else None)
        return found

    def _ask(self, event: str) -> Credentials:
        """Ask the brain from another thread, and wait for the answer."""
        return asyncio.run_coroutine_threadsafe(self._wait(event), self._loop).result()

    async def _wait(self, event: str) -> Credentials:
        answer: asyncio.Future[Credentials] = self._loop.create_future()
        self._waiting.append(answer)
        self._send(encode({"event": event, "access_key_id": self._own_id}))
        new = await answer
        self._own_id = new.access_key_id
        return new

    def give_up(self) -> None:
        """Let nobody wait any more: the brain is gone, and threads would wait for ever."""
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(AuthError("the run is over"))

    def answered(self, event: Event) -> None:
        """Hand on what the brain has answered."""
        answer = self._waiting.popleft()
        if answer.done():
            return
        if "error" in event:
            answer.set_exception(AuthError(event["error"]))
        else:
            answer.set_result(parse_credentials(event))


def credentials_json(credentials: Credentials) -> dict[str, object]:
    """Return credentials as the fields of a line, for a pipe and nothing else."""
    return {
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key.reveal(),
        "session_token": credentials.session_token.reveal(),
    }


def parse_credentials(event: Event) -> Credentials:
    """Return the credentials in a line."""
    secret, token = Secret(event["secret_access_key"]), Secret(event["session_token"])
    return Credentials(event["access_key_id"], secret, token)

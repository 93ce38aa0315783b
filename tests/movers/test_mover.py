"""A mover in this process: what it answers to what a brain says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncsync.disk import Folder
from asyncsync.errors import AuthError, MachineError, NetworkError
from asyncsync.interfaces import Store
from asyncsync.model import (
    Addressing,
    Checks,
    Credentials,
    Names,
    Reason,
    Settings,
    Transfer,
)
from asyncsync.movers import Event, move
from asyncsync.movers.asking import AskedCredentials
from asyncsync.movers.lines import Reader, dealt_line, encode
from asyncsync.movers.mover import Orders, _parse_orders
from asyncsync.secret import Secret
from tests.rigs.memory_store import MEMORY, MemoryStore

pytestmark = pytest.mark.anyio

SETTINGS = replace(MEMORY, names=Names())


def orders_of(folder: Folder, settings: Settings = SETTINGS) -> Orders:
    """Return the orders of a mover of one request at a time."""
    return Orders(
        settings=settings,
        terms=folder.taking.terms,
        number=0,
        checks=Checks(parquet=False),
        exact=False,
        workers=1,
        max_workers=1,
        attempts=2,
        streams=1,
        large=1,
        read_timeout=30.0,
        is_limited=False,
        has_served=True,
        log_level=30,
    )


class Brain:
    """The other end: says what it is told to, and hears what is answered."""

    def __init__(self) -> None:
        self._says: asyncio.Queue[bytes] = asyncio.Queue()
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def say(self, line: bytes) -> None:
        """Say a line; nothing ends the pipe."""
        self._says.put_nowait(line)

    def send(self, line: bytes) -> None:
        """Be the pipe that the mover writes to."""
        self._heard.put_nowait(json.loads(line))

    async def events(self) -> AsyncIterator[Event]:
        """Be the pipe that it reads."""
        while line := await self._says.get():
            for event in Reader().events(line):
                yield event

    async def hear(self, *names: str) -> dict[str, Any]:
        """Return the next event of these names."""
        with anyio.fail_after(20):
            while True:
                if (event := await self._heard.get())["event"] in names:
                    return event


@asynccontextmanager
async def moving(
    folder: Folder,
    store: MemoryStore,
    orders: Orders | None = None,
    fails: Exception | None = None,
) -> AsyncIterator[Brain]:
    """Have a mover that is ready, unless opening the bucket fails; it has ended afterwards."""
    brain = Brain()

    @asynccontextmanager
    async def open_store(
        settings: Settings, notice: Callable[[str], object], read_timeout: float
    ) -> AsyncIterator[Store]:
        if fails:
            raise fails
        yield store

    brain.say((orders or orders_of(folder)).line())
    async with anyio.create_task_group() as group:
        group.start_soon(move, brain.events(), brain.send, open_store)
        yield brain
        brain.say(b"")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A destination that is being written."""
    folder = Folder(tmp_path / "dest")
    with folder.writing():
        yield folder


def line_of(store: MemoryStore, key: str) -> bytes:
    """Return the line that deals an object of the store."""
    return dealt_line(Transfer(store.remote(key), (key,), Reason.MISSING))


def test_orders_come_out_as_they_went_in(folder: Folder) -> None:
    """With all settings, but how credentials are renewed: that is the brain's to do."""
    settings = Settings(
        access_key_id="AKID",
        secret_access_key="the-secret",
        endpoint_url="https://memory.example/path",
        bucket="sensors",
        session_token="the-token",
        region="eu",
        addressing=Addressing.PATH,
        request_payer=True,
        credentials_place="a profile",
        names=Names(),
    )
    brain_only = {"reload", "renew"}
    for field in fields(Settings):
        has_default = getattr(settings, field.name) == field.default
        assert field.name in brain_only or not has_default, f"{field.name} is not tested"
    orders = orders_of(folder, settings)
    (event,) = Reader().events(orders.line())
    loop: Any = None
    got = _parse_orders(event, AskedCredentials(print, loop))
    assert got == orders
    assert (got.settings.names, got.settings.credentials) == (settings.names, settings.credentials)
    assert got.settings.credentials_place == "a profile"
    assert "the-secret" not in repr(orders)


async def test_mover_whose_brain_is_gone_ends(folder: Folder) -> None:
    """Before it has orders."""
    brain = Brain()
    brain.say(b"")
    await move(brain.events(), brain.send, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (MachineError("no thread can be started"), "unable"),
        (OSError(24, "Too many open files"), "unable"),
        (AuthError("unknown"), "error"),
        (NetworkError("no way there"), "error"),
    ],
)
async def test_mover_says_what_ends_it(error: Exception, name: str, folder: Folder) -> None:
    """What this process lacks ends no run: the brain alone needs less."""
    async with moving(folder, MemoryStore({}), fails=error) as brain:
        event = await brain.hear("unable", "error")
    assert event["event"] == name
    assert str(error) in event["message"]


async def test_folder_that_cannot_be_opened_is_told_of(folder: Folder) -> None:
    """The mover is unable then."""
    terms = replace(folder.taking.terms, inode=1)
    async with moving(folder, MemoryStore({}), replace(orders_of(folder), terms=terms)) as brain:
        assert "its folder cannot be used" in (await brain.hear("unable"))["message"]


async def test_mover_is_heard_while_it_has_nothing_to_do(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one that hangs can be told from it."""
    monkeypatch.setattr("asyncsync.movers.mover.HEARD", 0.001)
    async with moving(folder, MemoryStore({})) as brain:
        await brain.hear("ready")
        await brain.hear("alive")
        await brain.hear("alive")


async def test_parts_folder_that_cannot_be_opened_returns_the_object(folder: Folder) -> None:
    """The brain fetches it."""
    store = MemoryStore({"a": b"x"})
    async with moving(folder, store) as brain:
        event = json.loads(line_of(store, "a")) | {"parts": "/nowhere/parts", "inode": 1}
        brain.say(encode(event))
        assert (await brain.hear("returned"))["key"] == "a"


async def test_bytes_are_taken_from_the_limit_of_the_brain(folder: Folder) -> None:
    """None is requested before the brain has said so."""
    store = MemoryStore({"a": bytes(1000)})
    async with moving(folder, store, replace(orders_of(folder), is_limited=True)) as brain:
        brain.say(line_of(store, "a"))
        assert (await brain.hear("take", "downloaded"))["bytes"] == 1000
        assert store.requests == []
        brain.say(encode({"event": "taken"}))
        assert (await brain.hear("downloaded"))["key"] == "a"


async def test_credentials_are_asked_for_from_any_thread() -> None:
    """The brain's answers, also that there are none, and that it is gone."""
    sent: asyncio.Queue[bytes] = asyncio.Queue()
    asked = AskedCredentials(sent.put_nowait, asyncio.get_running_loop())
    settings = asked.settings(SETTINGS, renews=True, reloads=True)
    assert settings.renew
    assert settings.reload
    new = Credentials("NEW", Secret("s"), Secret("t"))
    told = {"access_key_id": "NEW", "secret_access_key": "s", "session_token": "t"}

    renewed = asyncio.ensure_future(asyncio.to_thread(settings.renew))
    assert json.loads(await sent.get()) == {"event": "renew", "access_key_id": "AKID"}
    asked.answered({"event": "credentials", **told})
    assert await renewed == new

    read = asyncio.ensure_future(asyncio.to_thread(settings.reload))
    assert json.loads(await sent.get()) == {"event": "reload", "access_key_id": "NEW"}
    asked.answered({"event": "credentials", "error": "none left"})
    with pytest.raises(AuthError, match="none left"):
        await read

    read = asyncio.ensure_future(asyncio.to_thread(settings.reload))
    await sent.get()
    asked.give_up()
    with pytest.raises(AuthError, match="the run is over"):
        await read

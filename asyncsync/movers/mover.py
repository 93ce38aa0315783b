"""A mover: transfers come in, files without a name and outcomes go out.

It ends when its brain closes the pipe, or has died; what is under way is then kept for a later run,
as when a run is stopped.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from asyncsync.concurrently import task_group
from asyncsync.descriptors import affordable_requests
from asyncsync.disk import Handover, Terms
from asyncsync.download import Downloader
from asyncsync.errors import AsyncSyncError, MachineError, TransferError
from asyncsync.interfaces import SilentObserver, Store, Urgent
from asyncsync.model import Addressing, Checks, Names, Settings, Transfer
from asyncsync.movers.asking import (
    AskedCredentials,
    AskedLimit,
    credentials_json,
    parse_credentials,
)
from asyncsync.movers.lines import (
    Event,
    downloaded_line,
    encode,
    error_line,
    failed_line,
    parse_transfer,
)
from asyncsync.pace import LimitedStore, Pace
from asyncsync.report import Json

TELLING = 0.1
"""Seconds between two lines about the bytes of an object."""
HEARD = 1.0
"""Seconds between two lines that say only that this mover goes on."""

OpenStore = Callable[[Settings, Callable[[str], object], float], AbstractAsyncContextManager[Store]]
Send = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Orders:
    """What a mover is told before its first transfer; it has secrets."""

    settings: Settings
    terms: Terms
    number: int
    """Of this mover, different for each of a run."""
    checks: Checks
    exact: bool
    """Whether an object that has changed fails."""
    workers: int | None
    """Requests in flight of this mover; None if it finds out."""
    max_workers: int
    attempts: int
    streams: int
    """Parts in flight, at most."""
    large: int
    """Objects in several parts in flight, at most."""
    read_timeout: float
    is_limited: bool
    """Whether the brain has a limit of the rate."""
    has_served: bool
    """Whether the endpoint has served anything in this run."""
    log_level: int
    """Of the records that the brain wants."""
    share: int = 1
    """How many movers there are."""

    def line(self) -> bytes:
        """Return the line that begins the work of a mover. It is never logged."""
        found = self.settings
        terms = {name: getattr(self.terms, name) for name in Terms.__slots__}
        settings: Json = {
            **credentials_json(found.credentials),
            "endpoint_url": found.endpoint_url,
            "bucket": found.bucket,
            "region": found.region,
            "addressing": found.addressing.value,
            "request_payer": found.request_payer,
            "credentials_place": found.credentials_place,
            "names": {name: getattr(found.names, name) for name in Names.__slots__},
        }
        rest = {name: getattr(self, name) for name in self.__slots__}
        checks = {name: getattr(self.checks, name) for name in Checks.__slots__}
        return encode(
            {
                "event": "start",
                **rest,
                "checks": checks,
                "terms": terms,
                "settings": settings,
                "renews": found.renew is not None,
                "reloads": found.reload is not None,
            }
        )


def _parse_orders(event: Event, credentials: AskedCredentials) -> Orders:
    told: dict[str, Any] = dict(event["settings"])
    held = parse_credentials(told)
    settings = Settings(
        held.access_key_id,
        held.secret_access_key,
        told["endpoint_url"],
        told["bucket"],
        held.session_token,
        told["region"],
        Addressing(told["addressing"]),
        told["request_payer"],
        credentials_place=told["credentials_place"],
        names=Names(**told["names"]),
    )
    settings = credentials.settings(settings, renews=event["renews"], reloads=event["reloads"])
    return Orders(
        **{name: event[name] for name in Orders.__slots__}
        | {
            "settings": settings,
            "terms": Terms(**event["terms"]),
            "checks": Checks(**event["checks"]),
        }
    )


async def move(events: AsyncIterator[Event], send: Send, open_store: OpenStore) -> None:
    """Do what the events of a brain ask for, until there are no more.

    Args:
        events: what the brain says; the first are its orders.
        send: sends a line to the brain.
        open_store: opens the bucket.
    """
    credentials = AskedCredentials(send, asyncio.get_running_loop())
    first = await anext(events, None)
    if first is None:  # the brain is gone already
        return
    orders = _parse_orders(first, credentials)
    _forward_log(send, orders.log_level)
    limit = AskedLimit(send)

    def notice(message: str) -> None:
        told = {"event": "notice", "message": message, "urgent": isinstance(message, Urgent)}
        send(encode(told))

    pace = Pace(
        orders.workers and affordable_requests(orders.workers),
        affordable_requests(orders.max_workers),
        orders.attempts,
        notice=notice,
        streams=orders.streams,
        large=orders.large,
        throttled=lambda seconds: send(encode({"event": "throttled", "retry_after": seconds})),
        share=orders.share,
    )
    pace.refused.has_served = orders.has_served
    sink = Handover(orders.terms, orders.number, notice)
    observer = _Telling(send)
    queue: asyncio.Queue[Transfer] = asyncio.Queue()
    listener = _Listener(queue, sink, pace, limit, credentials, send)
    try:
        with sink.opened():
            async with open_store(orders.settings, notice, orders.read_timeout) as store:
                limited = LimitedStore(store, limit) if orders.is_limited else store
                downloader = Downloader(
                    limited, sink, pace, observer, orders.checks, exact=orders.exact
                )
                async with task_group() as group:
                    group.start_soon(pace.tune)
                    group.start_soon(observer.tell)
                    group.start_soon(_be_heard, send)
                    for _ in range(pace.most):
                        group.start_soon(_work, queue, downloader, sink, observer, send)
                    send(encode({"event": "ready"}))
                    async for event in events:
                        listener.hear(event)
                    credentials.give_up()
                    group.cancel_scope.cancel()
    except MachineError as error:  # the brain alone needs less
        send(encode({"event": "unable", "message": str(error)}))
    except AsyncSyncError as error:
        send(error_line(error))
    except OSError as error:
        send(encode({"event": "unable", "message": f"its folder cannot be used: {error}"}))


async def _be_heard(send: Send) -> None:
    """Say something from time to time: a mover that says nothing counts as one that hangs."""
    while True:
        await asyncio.sleep(HEARD)
        send(encode({"event": "alive"}))


@dataclass(frozen=True, slots=True)
class _Listener:
    """Hands on what the brain says."""

    queue: "asyncio.Queue[Transfer]"
    sink: Handover
    pace: Pace
    limit: AskedLimit
    credentials: AskedCredentials
    send: Send

    def hear(self, event: Event) -> None:
        """Do what an event asks for."""
        match event["event"]:
            case "transfer":
                self._accept(event)
            case "throttled":
                self.pace.throttle(event["retry_after"])
            case "progress":  # objects have arrived elsewhere, so this endpoint serves
                self.pace.refused.has_served = True
                self.pace.note_object(0)
            case "taken":
                self.limit.taken()
            case "credentials":
                self.credentials.answered(event)

    def _accept(self, event: Event) -> None:
        transfer = parse_transfer(event)
        if parts := event.get("parts"):
            try:
                self.sink.place(transfer.remote.key, parts, event["inode"])
            except OSError as error:
                returned = {"event": "returned", "key": transfer.remote.key}
                self.send(encode({**returned, "message": f"{parts}: {error}"}))
                return
        self.queue.put_nowait(transfer)


async def _work(
    queue: "asyncio.Queue[Transfer]",
    downloader: Downloader,
    sink: Handover,
    observer: "_Telling",
    send: Send,
) -> None:
    while True:
        transfer = await queue.get()
        key = transfer.remote.key
        try:
            done = await downloader.download(transfer)
        except TransferError as error:
            line = failed_line(transfer.remote, error)
        else:
            line = downloaded_line(done, transfer.remote, sink.written(key))
        sink.forget(key)
        observer.flush(key)
        send(line)


class _Telling(SilentObserver):
    """Tells the brain of the progress of large objects, some times a second."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._arrived: dict[str, int] = {}

    def started(self, transfer: Transfer) -> None:
        """Tell the brain."""
        self._send(encode({"event": "started", "key": transfer.remote.key}))

    def kept(self, transfer: Transfer, size: int) -> None:
        """Tell the brain."""
        self._send(encode({"event": "kept", "key": transfer.remote.key, "bytes": size}))

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count the bytes, for the next line."""
        key = transfer.remote.key
        self._arrived[key] = self._arrived.get(key, 0) + size

    def flush(self, key: str) -> None:
        """Tell the brain what has arrived of an object."""
        if size := self._arrived.pop(key, 0):
            self._send(encode({"event": "advanced", "key": key, "bytes": size}))

    async def tell(self) -> None:
        """Tell the brain what has arrived, until this is cancelled."""
        while True:
            await asyncio.sleep(TELLING)
            for key in list(self._arrived):
                self.flush(key)


def _forward_log(send: Send, level: int) -> None:
    """Send the log records of this process to the brain, from this level on."""
    package = logging.getLogger("asyncsync")
    package.addHandler(_Forwarded(send))
    package.setLevel(level)
    package.propagate = False


class _Forwarded(logging.Handler):
    """Sends log records to the brain."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        said = {"event": "log", "level": record.levelno, "message": self.format(record)}
        self._send(encode(said))

"""What the workers of a run are told, and the credentials, which the brain renews for all."""

import asyncio
import logging
from dataclasses import replace

from asyncsync import __version__
from asyncsync.dask.batch import Batch, Enlistment
from asyncsync.disk import Sign, Terms
from asyncsync.errors import AsyncSyncError, AuthError
from asyncsync.model import Checks, Credentials
from asyncsync.movers import Hire, Orders
from asyncsync.pace import LARGE_AT_ONCE, STREAMS_AT_ONCE, Pace
from asyncsync.secret import Secret
from asyncsync.threads import in_thread

logger = logging.getLogger(__name__)

RENEWAL = 60.0
"""Seconds between two times that credentials are renewed, and between two that they are reread."""
TELLING = 0.5
"""Seconds between two words of one worker about the bytes of large objects, at least."""
TOLD = 20
"""Such words of all workers in a second, at most: Dask's scheduler keeps the last 100,000."""


class Ordering:
    """Makes the batches of a run.

    Args:
        hire: the bucket, the credentials, and the limits.
        pace: the brain's.
        checks: what to check before a file counts as written.
        exact: whether an object that has changed fails.
    """

    def __init__(self, hire: Hire, pace: Pace, checks: Checks, *, exact: bool) -> None:
        self.generation = 0
        """Of the credentials; another one for others."""
        self._hire = hire
        self._settings = hire.settings
        self._pace = pace
        self._checks = checks
        self._exact = exact
        self._rate = hire.limit.rate if hire.limit else 0.0
        self._terms: Terms
        self._sign: Sign
        self._number = 0
        self._renewing = asyncio.Lock()
        self._renewed_at = asyncio.get_running_loop().time()
        self._reloaded_at = float("-inf")

    def share(self, workers: int) -> float:
        """Return the bytes per second of each of so many workers; 0 for no limit.

        The brain gets as much as one of them, or all if there is none.
        """
        if not self._hire.limit:
            return 0.0
        share = self._hire.limit.rate = max(1.0, self._rate / (workers + 1))
        return share

    def begin(self, terms: Terms, sign: Sign) -> None:
        """Note the terms of the run, and by what a worker knows its folder again."""
        self._terms, self._sign = replace(terms, holds_lock=False), sign

    async def enlistment(self, workers: int) -> Enlistment:
        """Return what a mover is told before its first batch.

        Args:
            workers: how many workers there are.
        """
        await self._renew_in_time()
        return Enlistment(
            run=self._terms.run,
            generation=self.generation,
            orders=Secret(self._orders(workers).line().decode()),
            rate=self.share(workers),
            telling=max(TELLING, workers / TOLD),
        )

    async def batch(self, lines: bytes, workers: int) -> Batch:
        """Return a batch.

        Args:
            lines: its transfers.
            workers: how many workers there are.
        """
        await self._renew_in_time()
        self._number += 1
        return Batch(
            key=f"asyncsync-{self._terms.run}-{self._number}",
            number=self._number,
            run=self._terms.run,
            version=__version__,
            generation=self.generation,
            sign=self._sign,
            rate=self.share(workers),
            lines=lines,
        )

    def _orders(self, workers: int) -> Orders:
        hire = self._hire
        streams = hire.limit.streams // workers if hire.limit else STREAMS_AT_ONCE
        return Orders(
            settings=replace(self._settings, renew=None, reload=None),
            terms=self._terms,
            number=0,
            checks=self._checks,
            exact=self._exact,
            workers=hire.workers,
            max_workers=hire.max_workers,
            attempts=hire.attempts,
            streams=max(1, streams),
            large=LARGE_AT_ONCE,
            read_timeout=hire.read_timeout,
            is_limited=hire.limit is not None,
            has_served=self._pace.refused.has_served,
            log_level=None,
        )

    # credentials --------------------------------------------------------------------------------

    async def _renew_in_time(self) -> None:
        """Replace credentials that expire, some minutes before they do."""
        renew, now = self._settings.renew, asyncio.get_running_loop().time()
        if renew is None or now - self._renewed_at < RENEWAL:
            return
        self._renewed_at = now
        async with self._renewing:
            try:
                self._use(await in_thread(renew))
            except AsyncSyncError as error:  # those that are there may do until the next time
                logger.info("the credentials cannot be renewed: %s", error)

    async def refused(self, error: AuthError, generation: int) -> AuthError | None:
        """Return what ends the run; None if there are others now than those that were refused."""
        reload = self._settings.reload
        async with self._renewing:
            now = asyncio.get_running_loop().time()
            is_early = now - self._reloaded_at < RENEWAL
            if generation == self.generation and reload and not is_early:
                self._reloaded_at = now
                try:
                    found = await in_thread(reload)
                except AsyncSyncError as failure:
                    return AuthError(f"{error}; they cannot be read again: {failure}")
                if found.endpoint_url == self._settings.endpoint_url:
                    self._settings = replace(self._settings, renew=found.renew)
                    self._use(found.credentials)
            return error if generation == self.generation else None

    def _use(self, new: Credentials) -> None:
        if new != self._settings.credentials:
            self.generation += 1
            self._settings = replace(
                self._settings,
                access_key_id=new.access_key_id,
                secret_access_key=new.secret_access_key,
                session_token=new.session_token,
            )

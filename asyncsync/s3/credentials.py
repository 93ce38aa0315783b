"""The credentials that requests are signed with: renewed, and read again once they are refused."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import Lock, sleep

from asyncsync.concurrently import task_group
from asyncsync.errors import AsyncSyncError, AuthError, ConfigError, CredentialsRenewedError
from asyncsync.model import Settings
from asyncsync.secret import SignedHeaders
from asyncsync.threads import in_thread

logger = logging.getLogger(__name__)

RENEWAL = 60.0
"""Seconds between two looks at credentials that expire; they are replaced some minutes before.

A provider of such credentials is not asked once more before that when what it gave is refused.
"""


class HeldCredentials:
    """The credentials of a run, as they are now.

    Args:
        settings: what they are at first, and how they are renewed and read again.
        clock: for tests; times are in seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.current = settings.credentials
        self._endpoint_url = settings.endpoint_url
        self._clock = clock
        self._changed_at = float("-inf")
        self._reload = settings.reload
        self._renew = settings.renew
        self._changing = Lock()

    def signed(self, sent: SignedHeaders) -> bool:
        """Return whether a request was signed with those of now."""
        own = self.current
        return (
            f"Credential={own.access_key_id}/" in sent["authorization"]
            and sent.get("x-amz-security-token", "") == own.session_token.reveal()
        )

    async def keep(self) -> None:
        """Replace them before they expire, until this is cancelled."""
        while True:
            await sleep(RENEWAL)
            async with self._changing:
                if self._renew is None:
                    continue
                try:
                    renewed = await in_thread(self._renew)
                except AsyncSyncError as error:  # those that are there may do until the next look
                    logger.info("the credentials cannot be renewed: %s", error)
                    continue
                if renewed != self.current:  # equal ones would be compared for each request
                    self.current = renewed

    async def refused(self, error: AsyncSyncError, sent: SignedHeaders) -> AsyncSyncError:
        """Return the error, or that there are other credentials now than those it is about."""
        async with self._changing:
            if self.signed(sent):  # or another request was refused, and has read them again
                # A provider gives out others each time, which are refused for the same reason.
                is_early = self._renew and self._clock() - self._changed_at < RENEWAL
                if self._reload is None or is_early:
                    return error
                try:
                    settings = await self._read_again(self._reload)
                except AsyncSyncError as failure:
                    text = f"{error}; they cannot be read again: {failure}"
                    return AuthError(text) if isinstance(error, AuthError) else error
                self.current, self._renew = settings.credentials, settings.renew
                if self.signed(sent):
                    return error
                self._changed_at = self._clock()
            return CredentialsRenewedError(f"{error}; the credentials were renewed meanwhile")

    async def _read_again(self, reload: Callable[[], Settings]) -> Settings:
        """Return the settings, if they are still for the endpoint that the run asks."""
        settings = await in_thread(reload)
        if settings.endpoint_url != self._endpoint_url:
            raise ConfigError("they are for another endpoint now, so start another run")
        return settings


@asynccontextmanager
async def hold(settings: Settings) -> AsyncIterator[HeldCredentials]:
    """Hold the credentials of the settings; those that expire are renewed meanwhile."""
    held = HeldCredentials(settings)
    if settings.renew is None:
        yield held
        return
    async with task_group() as group:
        group.start_soon(held.keep)
        yield held
        group.cancel_scope.cancel()

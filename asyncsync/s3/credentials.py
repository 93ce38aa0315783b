"""The credentials that requests are signed with: they are read again once they are refused."""

import logging

from asyncsync.errors import ConfigError
from asyncsync.model import Settings
from asyncsync.secret import SignedHeaders

logger = logging.getLogger(__name__)


class HeldCredentials:
    """The credentials of a run, as they are now.

    Args:
        settings: what they are at first, and how they are read again.
    """

    def __init__(self, settings: Settings) -> None:
        self.current = settings.credentials
        self._reload = settings.reload

    def signed(self, sent: SignedHeaders) -> bool:
        """Return whether a request was signed with those of now."""
        own = self.current
        return (
            f"Credential={own.access_key_id}/" in sent["authorization"]
            and sent.get("x-amz-security-token", "") == own.session_token.reveal()
        )

    def renewed(self, sent: SignedHeaders) -> bool:
        """Return whether they now differ from those that signed a request, which was refused."""
        if not self.signed(sent):
            return True  # another request was refused before, and has read them again
        if self._reload is None:
            return False
        try:
            self.current = self._reload().credentials
        except ConfigError as error:
            logger.info("the credentials cannot be read again: %s", error)
            return False
        return not self.signed(sent)

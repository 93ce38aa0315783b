"""What the server of this run was seen to lack: HEAD, checksums, or ListObjectsV2."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from asyncsync.errors import HeadRefusedError
from asyncsync.interfaces import Urgent
from asyncsync.keys import shown

MAY_REFUSE_HEAD: Final = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
}
"""How HEAD may be refused where GET is not. A 400 may pass: R2 answers so when it gave up waiting.
"""
MODE_UNKNOWN: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED}
"""How a server answers a HEAD that asks for a checksum or a part, if it knows neither; and others.
"""
_ODD_HEADS: Final = 8
"""HEADs that may be answered with 400 before any other, until that counts as refused as well."""
SERVED: Final = {
    HTTPStatus.OK,
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,  # an empty object has no first byte
}
"""How a GET of the first byte is answered where it is allowed."""
_REFUSALS: Final = 2
"""HEADs that are answered without the wish for a checksum only: a single 400 may have passed."""
_HEAD_REFUSED: Final = "HEAD is refused, though GET is allowed"


class Server:
    """What is known of it.

    Args:
        notice: called with what a person should know.
    """

    def __init__(self, notice: Callable[[str], object]) -> None:
        self._notice = notice
        self.answers_head = False
        self.refuses_head = False
        """Whether HEAD is never sent: it was refused where GET was not, and never answered."""
        self._odd_heads = 0
        self._has_told_of_head = False
        self.wants_checksums = True
        """Whether HEAD asks for checksums: until an answer shows that it knows none."""
        self.tells_checksums = False
        """Whether a HEAD that asked was answered: what is refused later has other reasons."""
        self._refused_checksums = 0
        self.lists_by_token = False
        """Whether it knows ListObjectsV2, as far as is known."""
        self.lists_by_marker = False
        """Whether it knows only ListObjects."""

    def check_head(self, key: str) -> None:
        """Raise HeadRefusedError if no HEAD is to be sent."""
        if self.refuses_head:
            raise HeadRefusedError(key, _HEAD_REFUSED)

    def refuses(self, status: int) -> bool:
        """Return whether a HEAD that it answered so is refused for good, while GET is allowed."""
        if status in MAY_REFUSE_HEAD:
            return True
        self._odd_heads += 1
        return self._odd_heads > _ODD_HEADS and not self.answers_head

    def head_refused(self, key: str) -> HeadRefusedError:
        """Return the error for an object of which GET is allowed, but HEAD is not."""
        self.refuses_head = not self.answers_head
        if not self._has_told_of_head:
            self._has_told_of_head = True
            self._notice(
                Urgent(
                    f"{shown(key)}: {_HEAD_REFUSED}: what is refused so is validated by the GET "
                    "alone, as all is by --validate response, which sends no HEAD"
                )
            )
        return HeadRefusedError(key, _HEAD_REFUSED)

    def note_refused_checksum(self) -> None:
        """Record that a HEAD that asked for a checksum was refused, and the same without not."""
        self._refused_checksums += 1
        if self._refused_checksums >= _REFUSALS and not self.tells_checksums:
            self.wants_checksums = False

    def note_markers(self) -> None:
        """Record that it answers ListObjects, and knows no ListObjectsV2."""
        if not self.lists_by_marker:
            self.lists_by_marker = True
            self._notice(
                "the server knows no ListObjectsV2, so the bucket is listed by ListObjects"
            )

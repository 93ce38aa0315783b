"""Keeps secrets out of the logs of libraries.

asyncsync itself logs no signature and no session token. botocore logs both at DEBUG, which a
program may have switched on for everything.
"""

import logging
import re

_LIBRARIES = {"aioboto3", "aiobotocore", "boto3", "botocore"}
_SECRET = re.compile(
    r"""(\bsignature[=:]\s*|x-amz-security-token['"]?\s*[:=]\s*b?['"]?)[^'",;&\s]+""", re.IGNORECASE
)


class _Redaction(logging.Filter):
    """Replaces the secrets in a record before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            return True  # its arguments do not fit: handlers cannot format it either
        clean = _SECRET.sub(r"\1***", text)
        if clean != text:
            record.msg, record.args = clean, ()
        return True


_REDACTION = _Redaction()


def redact_libraries() -> None:
    """Redact what the libraries log that are imported by now."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_REDACTION)

"""Libraries that log requests do so without signatures and session tokens.

asyncsync itself logs neither. botocore does at DEBUG, which a program that uses asyncsync may have
turned on for everything.
"""

import logging
import re

_LIBRARIES = {"aioboto3", "aiobotocore", "boto3", "botocore"}
_SECRET = re.compile(
    r"""(\bsignature[=:]\s*|x-amz-security-token['"]?\s*[:=]\s*b?['"]?)[^'",;&\s]+""", re.IGNORECASE
)


class _Redaction(logging.Filter):
    """Takes the secrets out of a record, before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass."""
        text = record.getMessage()
        clean = _SECRET.sub(r"\1***", text)
        if clean != text:
            record.msg, record.args = clean, ()
        return True


_REDACTION = _Redaction()


def redact_libraries() -> None:
    """Take the secrets out of what the libraries that are imported by now will log."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_REDACTION)

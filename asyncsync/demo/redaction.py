"""Libraries that log requests do so without signatures and session tokens.

asyncsync itself logs neither, and tells no library of them but for the demo, which uploads its data
with boto3. That logs both at DEBUG, which a program may have turned on for everything.
"""

import logging
import re

_LIBRARIES = {"boto3", "botocore"}
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

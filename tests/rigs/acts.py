"""Acts of the fault proxy that several test files use."""

import re

from tests.rigs.fault_proxy import Act
from tests.rigs.scripted import response


def s3_error(status: str, code: str = "", message: str = "Because.", **headers: str) -> Act:
    """Return an S3 error instead of the server's answer.

    Args:
        status: such as `403 Forbidden`.
        code: S3's, such as `AccessDenied`.
        message: its text.
        headers: by their names with underscores for hyphens.
    """
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act(instead=response(xml.encode(), status=status, headers=fields))


def in_listing(pattern: str, replacement: str) -> Act:
    """Replace what the pattern matches in a page of the listing."""
    return Act(body=lambda xml: re.sub(pattern.encode(), replacement.encode(), xml), chunked=True)

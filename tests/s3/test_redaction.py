"""What the demo's own client logs holds no secret."""

import logging
import re

import pytest

from asyncsync.demo.seaweed import SeaweedServer


def test_requests_of_the_demo_may_be_logged(
    caplog: pytest.LogCaptureFixture, server: SeaweedServer
) -> None:
    """boto3 logs what it signs, and with which signature, at DEBUG; that is left out."""
    caplog.set_level(logging.DEBUG)
    server.client().list_buckets()
    assert "StringToSign" in caplog.text  # so there was something to redact
    assert "***" in caplog.text
    assert re.search(r"signature[=:]\s*[0-9a-f]{64}", caplog.text, re.IGNORECASE) is None
    assert server.secret_access_key not in caplog.text

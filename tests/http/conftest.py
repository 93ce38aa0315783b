"""Fixtures for the tests of the transport."""

import ssl

import pytest

from tests.rigs.http_client import AUTHORITY


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> ssl.SSLContext | None:
    """The server's TLS context, or None for a server without TLS."""
    return AUTHORITY.server() if request.param == "tls" else None


@pytest.fixture(autouse=True)
def _no_authority_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the one variable for authorities that the other fixtures leave."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

"""Certificates end to end: only a verified server gets requests, and own authorities work."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.rigs.bucket import Bucket
from tests.rigs.child import asyncsync
from tests.rigs.relay import Relay
from tests.rigs.scripted import Authority, ScriptedServer, answers, response
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

AUTHORITY = Authority()
STRANGER = Authority()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: a child process chooses its own."""
    return "asyncio"


@pytest.fixture
def authority_file(tmp_path: Path) -> str:
    """The file with the authority's certificate."""
    path = tmp_path / "authority.pem"
    AUTHORITY.ca.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.mark.row(14)
@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (AUTHORITY.server("other.example"), "it is not valid for '127.0.0.1'"),
        (AUTHORITY.server("127.0.0.2"), "it is not valid for '127.0.0.1'"),
        (AUTHORITY.server(not_after=YESTERDAY), "certificate has expired"),
        (STRANGER.server(), "unable to get local issuer certificate"),
    ],
    ids=["other name", "other address", "expired", "unknown authority"],
)
async def test_server_with_a_bad_certificate_gets_no_request(
    authority_file: str, tmp_path: Path, server: ssl.SSLContext, reason: str
) -> None:
    """The run ends with exit code 4 and the reason, and creates nothing on the disk."""
    async with ScriptedServer(answers(response()), tls=server) as endpoint:
        settings = {
            "R2_ACCESS_KEY_ID": "AKID",
            "R2_SECRET_ACCESS_KEY": "the-secret",
            "R2_ENDPOINT_URL": endpoint.endpoint,
            "R2_BUCKET": "sensors",
            "AWS_CA_BUNDLE": authority_file,
        }
        done = await asyncsync(settings, "plan", "--dest", str(tmp_path / "dest"))
        assert endpoint.heads == []
        peer = f"127.0.0.1:{endpoint.port}"
    assert done.code == 4
    assert done.err.startswith(f"asyncsync: the certificate of {peer} was rejected: ")
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "dest").exists()


async def test_host_name_is_checked_as_well_as_an_address(
    authority_file: str, tmp_path: Path
) -> None:
    """A certificate for the address is not valid for the host name."""
    async with ScriptedServer(answers(response()), tls=AUTHORITY.server("127.0.0.1")) as endpoint:
        settings = {
            "R2_ACCESS_KEY_ID": "AKID",
            "R2_SECRET_ACCESS_KEY": "the-secret",
            "R2_ENDPOINT_URL": f"https://localhost:{endpoint.port}",
            "R2_BUCKET": "sensors",
            "SSL_CERT_FILE": authority_file,
        }
        done = await asyncsync(settings, "plan")
        assert endpoint.heads == []
    assert done.code == 4
    assert "it is not valid for 'localhost'" in done.err


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_sync_works_with_an_authority_of_ones_own(
    bucket: Bucket, authority_file: str, tmp_path: Path, variable: str
) -> None:
    """Small and large objects are downloaded over TLS, with either variable for the authority."""
    objects = {f"1hz/{number}.parquet": b"data" * number for number in range(10)}
    objects["1hz/large.parquet"] = os.urandom(10_000_019)
    bucket.put_many(objects)
    async with Relay(bucket.server.endpoint_url, tls=AUTHORITY.server()) as relay:
        settings = bucket.server.environment() | {
            "R2_ENDPOINT_URL": relay.endpoint,
            variable: authority_file,
        }
        done = await asyncsync(settings, "--no-progress", "--dest", str(tmp_path / "dest"))
    assert (done.code, done.err) == (0, "")
    assert relay.verbs() == {"LIST", "HEAD", "GET"}
    assert tree(tmp_path / "dest") == objects


async def test_authority_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    """The run ends with exit code 2 and names the file; no connection is opened."""
    async with ScriptedServer(answers(response()), tls=AUTHORITY.server()) as endpoint:
        settings = {
            "R2_ACCESS_KEY_ID": "AKID",
            "R2_SECRET_ACCESS_KEY": "the-secret",
            "R2_ENDPOINT_URL": endpoint.endpoint,
            "R2_BUCKET": "sensors",
            "AWS_CA_BUNDLE": str(tmp_path / "missing.pem"),
        }
        done = await asyncsync(settings, "plan")
        assert endpoint.peers == []
    assert done.code == 2
    assert "AWS_CA_BUNDLE" in done.err
    assert "missing.pem" in done.err


@pytest.mark.row(163)
async def test_keys_of_connections_are_not_logged(
    bucket: Bucket, authority_file: str, tmp_path: Path
) -> None:
    """SSLKEYLOGFILE has no effect, which a warning says, and the run goes on."""
    log = tmp_path / "keys.log"
    bucket.put("a.parquet", b"data")
    async with Relay(bucket.server.endpoint_url, tls=AUTHORITY.server()) as relay:
        settings = bucket.server.environment() | {
            "R2_ENDPOINT_URL": relay.endpoint,
            "AWS_CA_BUNDLE": authority_file,
            "SSLKEYLOGFILE": str(log),
        }
        done = await asyncsync(settings, "--no-progress", "--dest", str(tmp_path / "dest"))
        examined = await asyncsync(settings, "doctor", "--dest", str(tmp_path / "dest"))
    assert done.code == 0
    assert done.err.startswith("asyncsync: SSLKEYLOGFILE is set, and has no effect: no keys ")
    assert "warning  settings    SSLKEYLOGFILE is set, " in examined.out
    assert not log.exists()

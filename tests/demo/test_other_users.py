"""What other users of the machine can do with the demo's server, which is nothing."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from botocore.exceptions import ClientError

from asyncsync.demo import seaweed
from asyncsync.demo.seaweed import SeaweedServer, serve
from asyncsync.errors import ConfigError
from tests.rigs.bucket import Bucket

NOBODY = 65534
KEY = "1hz/a.parquet"
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="TWO USERS NOT TRIED: only root can run a child as another user"
)

REQUESTS = [
    ("s3.port", "GET", f"/bucket/{KEY}"),
    ("s3.port", "PUT", f"/bucket/{KEY}"),
    ("s3.port", "DELETE", f"/bucket/{KEY}"),
    ("s3.port", "GET", "/bucket?list-type=2"),
    ("s3.port", "PUT", "/another-bucket"),
    ("s3.port", "POST", "/"),
    ("filer.port", "GET", f"/buckets/bucket/{KEY}"),
    ("filer.port", "PUT", f"/buckets/bucket/{KEY}"),
    ("filer.port", "DELETE", "/buckets/bucket/?recursive=true"),
    ("master.port", "GET", "/dir/assign"),
    ("master.port", "GET", "/dir/lookup?fileId=1,0100000000"),
    ("master.port", "GET", "/col/delete?collection=bucket"),
    ("master.port", "POST", "/submit"),
    ("volume.port", "GET", "/1,0100000000"),
    ("volume.port", "POST", "/1,0100000000"),
    ("volume.port", "DELETE", "/1,0100000000"),
    ("admin.port", "GET", "/api/config"),
]
"""Without credentials: by the port, the method and the path."""

AS_ANOTHER_USER = f"""
import http.client, json, os, sys
ports = json.loads(sys.argv[1])
requests = json.loads(sys.argv[2])
folder = sys.argv[3]
"".encode("idna")  # loaded while the interpreter's own files can be read
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
for name, method, path in requests:
    connection = http.client.HTTPConnection("127.0.0.1", int(ports[name]), timeout=10)
    connection.request(method, path, b"evil" if method != "GET" else None)
    print(connection.getresponse().status)
for name in ("internal.key", "weed.log", "."):
    try:
        os.listdir(folder) if name == "." else open(os.path.join(folder, name))
    except PermissionError:
        print("denied")
    else:
        print("open:", name)
"""


@dataclass(frozen=True, slots=True)
class Victim:
    """A running server, its ports and its folder."""

    server: SeaweedServer
    bucket: Bucket
    ports: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    """A server with one object, which made its own folder in one that anybody can look into."""
    ports: dict[str, str] = {}
    find_free_ports = seaweed._find_free_ports

    def record_ports() -> dict[str, str]:
        ports.update(find_free_ports())
        return ports

    with TemporaryDirectory() as shared, pytest.MonkeyPatch.context() as patch:
        os.chmod(shared, 0o755)  # noqa: S103 - as the folder of a user who hides nothing
        patch.setattr(seaweed, "_find_free_ports", record_ports)
        folder = Path(shared, "server")
        with serve(folder, "bucket") as server, closing(server.client()) as client:
            bucket = Bucket(server, client)
            bucket.put(KEY, b"data")
            yield Victim(server, bucket, ports, folder)


@pytest.mark.row(165)
@needs_root
def test_another_user_gets_nowhere(victim: Victim) -> None:
    """Without credentials, S3 says 403, every other port refuses, and the folder is shut."""
    command = [sys.executable, "-c", AS_ANOTHER_USER, json.dumps(victim.ports)]
    command += [json.dumps(REQUESTS), str(victim.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    *statuses, key, log, folder = done.stdout.split()
    expected = [403] * 5 + [405] + [404] * 7 + [401] * 3 + [404]
    assert [int(status) for status in statuses] == expected
    assert (key, log, folder) == ("denied", "denied", "denied")
    assert victim.bucket.get(KEY) == b"data"
    assert victim.bucket.keys() == [KEY]


@pytest.mark.row(165)
@pytest.mark.parametrize(("name", "method", "path"), REQUESTS)
def test_request_without_credentials_is_refused(
    victim: Victim, name: str, method: str, path: str
) -> None:
    """It makes no difference who sends it."""
    with closing(http.client.HTTPConnection("127.0.0.1", int(victim.ports[name]))) as connection:
        connection.request(method, path, b"evil" if method != "GET" else None)
        assert connection.getresponse().status in {401, 403, 404, 405}


@pytest.mark.row(165)
@pytest.mark.parametrize("wrong", ["access_key_id", "secret_access_key"])
def test_wrong_key_is_refused(victim: Victim, wrong: str) -> None:
    """Neither half of the credentials is enough."""
    half = replace(victim.server, **{wrong: "0" * 40})
    with closing(half.client()) as client:
        for request in (client.get_object, client.put_object):
            with pytest.raises(ClientError) as caught:
                request(Bucket="bucket", Key=KEY)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert victim.bucket.get(KEY) == b"data"


@pytest.mark.row(165)
@pytest.mark.parametrize("part", ["master", "volume", "filer", "s3", "admin"])
def test_internal_calls_need_the_certificate(victim: Victim, part: str) -> None:
    """Who cannot read its key is cut off before the first call."""
    port = int(victim.ports[f"{part}.port.grpc"])

    def settings(context: ssl.SSLContext | None) -> bytes:
        """Return the server's first frame, which says that it takes calls."""
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain) if context else plain as channel,
        ):
            channel.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5))
            return channel.recv(9)

    known = ssl.create_default_context(cafile=victim.folder / "internal.crt")
    known.check_hostname = False
    known.set_alpn_protocols(["h2"])
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed"):
        settings(known)
    known.load_cert_chain(victim.folder / "internal.crt", victim.folder / "internal.key")
    assert settings(known)[3] == 4
    with suppress(ConnectionResetError):
        assert settings(None) == b""


def test_missing_cryptography_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what to install, and no server is started without a certificate."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    expected = pytest.raises(ConfigError, match=r"cryptography .*pip install '\.\[demo\]'")
    with expected, serve(tmp_path, "bucket"):
        pass

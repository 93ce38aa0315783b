"""nginx between a contender and the store: TLS, the network profile, and a count of the requests.

Objects are plain files that nginx sends itself, so that the server costs little on a machine that
it shares with the client; listings are passed on to the store. What nginx says of an object (size,
ETag, Last-Modified) agrees with what the listing says. As R2 and AWS do, it tells an object's
CRC64NVME where the profile says so and the request asks for it. It checks no signature of an
object's request: all contenders are spared alike.
"""

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trustme

from benchmarks.site import Site
from benchmarks.tools import find_nginx

_NEVER = 1_000_000
"""Requests a second that nobody reaches: how nginx is told that there is no limit."""
_AS_R2 = "-r2"


@dataclass(frozen=True, slots=True)
class Profile:
    """A network, as the client sees it."""

    name: str
    latency_ms: int = 0
    """Milliseconds until the first byte of every answer."""
    bytes_per_second: int = 0
    """Rate of one answer's body; 0 for no limit."""
    requests_per_second: int = 0
    """Requests above this rate are answered with 503 SlowDown; 0 for no limit."""
    checksums: bool = False
    """Whether objects come with their CRC64NVME, as R2's do, for who asks for it."""

    @classmethod
    def parse(cls, text: str) -> "Profile":
        """Return a named profile, or the one that `LATENCY_MS:MB_PER_SECOND:REQUESTS` describes.

        Behind either, `-r2` makes it one with checksums.

        Raises:
            ValueError: it is neither.
        """
        plain = text.removesuffix(_AS_R2)
        if plain in PROFILES:
            found = PROFILES[plain]
        else:
            latency, megabytes, requests = (int(part) for part in plain.split(":"))
            found = cls(plain, latency, megabytes * 1_000_000, requests)
        return replace(found, name=text, checksums=plain != text)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("loop"),
        Profile("wan", latency_ms=60, bytes_per_second=25_000_000),
        Profile("throttled", latency_ms=20, requests_per_second=300),
    )
}
"""Each also exists with `-r2` behind its name: with checksums."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running nginx."""

    endpoint_url: str
    ca_file: Path
    stats_port: int

    def requests(self) -> dict[str, int]:
        """Return what was asked since the last reset.

        GET, HEAD and LIST count requests, REFUSED those that were answered with 503, BYTES the
        bodies' bytes; LIST_MS is what all listings took, in milliseconds; SINCE is when that reset
        was, FIRST when the first request came, both in milliseconds since the epoch.
        """
        lines = self._stats("GET").decode().splitlines()
        return {name: int(count) for name, count in (line.split() for line in lines)}

    def reset(self) -> None:
        """Set all counts to nothing."""
        self._stats("DELETE")

    def _stats(self, method: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.stats_port, timeout=10)
        try:
            connection.request(method, "/")
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def serve(site: Site, profile: Profile, directory: Path) -> Iterator[Gateway]:
    """Run nginx in front of `site` with its own files in `directory`.

    Raises:
        MissingToolError: nginx or its Lua module is not installed.
        RuntimeError: nginx does not start.
    """
    nginx = find_nginx()
    ca = trustme.CA()
    ca_file = directory / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    certificate = directory / "certificate.pem"
    ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        str(certificate)
    )
    port, stats_port = _free_ports(2)
    sleep = f"rewrite_by_lua_block {{ ngx.sleep({profile.latency_ms / 1000}) }}"
    burst = max(1, profile.requests_per_second // 10)
    values = {
        "MODULES": "\n".join(f"load_module {module};" for module in nginx.modules),
        "DIRECTORY": directory,
        "CERTIFICATE": certificate,
        "OBJECTS": site.objects,
        "CHECKSUMS": "true" if profile.checksums else "false",
        "BUCKET": site.bucket,
        "LISTER": site.lister,
        "FILES": site.files.parent,
        "PORT": port,
        "STATS_PORT": stats_port,
        "BUFFER": "256k",
        "RATE": profile.bytes_per_second,
        "REQUESTS": profile.requests_per_second or _NEVER,
        "LATENCY": sleep if profile.latency_ms else "",
        "LIMIT": f"limit_req zone=requests burst={burst} nodelay;"
        if profile.requests_per_second
        else "",
    }
    template = (Path(__file__).parent / "nginx.conf").read_text()
    text = re.sub(r"@([A-Z_]+)@", lambda match: str(values[match[1]]), template)
    if os.geteuid() != 0:
        text = text.replace("user root;\n", "")  # only root may choose
    config = directory / "nginx.conf"
    config.write_text(text)
    log = directory / "error.log"
    process = subprocess.Popen([nginx.program, "-p", directory, "-c", config, "-e", log])
    try:
        gateway = Gateway(f"https://127.0.0.1:{port}", ca_file, stats_port)
        _await(gateway, process, log)
        yield gateway
    finally:
        process.terminate()
        process.wait()


def _await(gateway: Gateway, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return gateway.reset()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not start:\n{log.read_text()}") from None
            time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports

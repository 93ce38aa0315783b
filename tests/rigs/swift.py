"""OpenStack Swift with one copy of everything, behind its S3 layer."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asyncsync.demo.seaweed import SeaweedServer
from tests.rigs.running import READY_SECONDS, free_port, new_server, ready, running, wait_for_port

# The time-outs are long: by default, a busy machine of tests soon gets a 503.
_HASHING = """
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = one
default = yes
"""
_ANY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
devices = {directory}/devices
mount_check = no
swift_dir = {directory}
user = root
workers = 0
"""
_STORE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
conn_timeout = 10
node_timeout = 60
"""
_PROXY = """
[pipeline:main]
pipeline = bulk s3api tempauth slo proxy-server
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = auto
[filter:tempauth]
use = egg:swift#tempauth
user_tests_tests = {secret} .admin
[filter:slo]
use = egg:swift#slo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = yes
conn_timeout = 10
node_timeout = 60
"""


@contextmanager
def swift(programs: Path, directory: Path) -> Iterator[SeaweedServer]:
    """Run three servers that store, and one that speaks S3."""
    server = new_server("tests:tests")
    (directory / "devices/one").mkdir(parents=True)
    (directory / "swift.conf").write_text(_HASHING)
    with ExitStack() as opened:
        ports = []
        for kind in ("account", "container", "object"):
            ports.append(port := free_port())
            ring = [f"{programs}/swift-ring-builder", f"{directory}/{kind}.builder"]
            _run(*ring, "create", "1", "1", "0")
            _run(*ring, "add", f"r1z1-127.0.0.1:{port}/one", "1")
            _run(*ring, "rebalance")
            settings = _ANY.format(port=port, directory=directory) + _STORE.format(kind=kind)
            (directory / f"{kind}.conf").write_text(settings)
            command = [f"{programs}/swift-{kind}-server", f"{directory}/{kind}.conf"]
            opened.enter_context(running(command, directory))
        for port in ports:  # the proxy answers 503 for those that do not listen yet
            wait_for_port(port)
        port = int(server.endpoint_url.rpartition(":")[2])
        settings = _ANY.format(port=port, directory=directory)
        settings += _PROXY.format(secret=server.secret_access_key)
        (directory / "proxy.conf").write_text(settings)
        command = [f"{programs}/swift-proxy-server", f"{directory}/proxy.conf"]
        process = opened.enter_context(running(command, directory))
        yield ready(server, process, directory)


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True, timeout=READY_SECONDS)

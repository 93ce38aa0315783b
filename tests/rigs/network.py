"""A network for one test: a machine on which asyncsync runs, the world, and a link between them.

with network(tmp_path) as net:
    async with name_server(net) as names, ScriptedS3(OBJECTS, listener=net.listener, tls=tls) as s3:
        names.addresses = [ADDRESS]
        done = await wrapped(net.machine, s3.environment | {"R2_ENDPOINT_URL": f"https://{HOST}"})

Both are network namespaces of Linux. The world's sockets are passed to the test's process, which
runs the world's servers.
"""

import asyncio
import functools
import ipaddress
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HOST = "bucket.example"
ADDRESS = "192.0.2.1"
"""The world's address, where the name server and the bucket are."""
DEAD = "2001:db8::2"
"""An address in the world that never answers."""

_PROGRAMS = ("ip", "nsenter", "unshare")
_WORLD = f"""
link set lo up
link add far type veth peer name near netns {{machine}}
link set far up
addr add {ADDRESS}/24 dev far
"""
_MACHINE = f"""
link set lo up
link set near up
addr add 192.0.2.2/24 dev near
addr add 2001:db8::1/64 dev near nodad
neigh add {DEAD} lladdr 02:00:00:00:00:02 dev near
"""
_RESOLVER = {
    "/etc/resolv.conf": f"nameserver {ADDRESS}\noptions attempts:1\n",
    "/etc/nsswitch.conf": "hosts: dns\n",  # and no resolver of the real machine
}
_SOCKETS = f"""
import socket, sys
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("{ADDRESS}", 53))
listener = socket.create_server(("{ADDRESS}", 443))
arrivals = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
arrivals.bind(("far", 0x86DD))  # IPv6
ours = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(ours, [b"."], [sock.fileno() for sock in (names, listener, arrivals)])
"""


@dataclass(frozen=True, slots=True)
class Network:
    """The machine, and the world's sockets."""

    machine: Sequence[str]
    """The prefix of a command that runs on the machine."""
    names: socket.socket
    """The socket of the machine's name server."""
    listener: socket.socket
    """The listening socket of the server for `HOST`."""
    _arrivals: socket.socket

    def link(self, state: str) -> None:
        """Set the machine's link `up` or `down`."""
        _ip(self.machine, f"link set near {state}\n")

    def reaches(self) -> bool:
        """Return whether the machine has a route to the world."""
        command = [*self.machine, "ip", "route", "get", ADDRESS]
        return subprocess.run(command, capture_output=True).returncode == 0

    def knocks(self) -> int:
        """Return how many TCP packets have arrived for the dead address since the last call."""
        found = 0
        while True:
            try:
                packet = self._arrivals.recv(2048, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            found += packet[6] == socket.IPPROTO_TCP and packet[24:40] == _packed(DEAD)


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Create a network, with settings in the folder. Skips the test if this machine cannot."""
    if sys.platform != "linux" or not _can_create_networks():
        pytest.skip("this machine cannot create network namespaces")
    with ExitStack() as held:
        world = held.enter_context(_namespace(["unshare", "-Urnm"]))
        pid, machine = held.enter_context(_namespace([*world[1], "unshare", "-nm"]))
        _ip(world[1], _WORLD.format(machine=pid))
        _ip(machine, _MACHINE)
        for number, (path, text) in enumerate(_RESOLVER.items()):
            ours = folder / f"network-{number}"
            ours.write_text(text)
            subprocess.run([*machine, "mount", "--bind", str(ours), path], check=True)
        sockets = [held.enter_context(sock) for sock in _sockets(world[1])]
        yield Network(machine, *sockets)


@functools.cache
def _can_create_networks() -> bool:
    if not all(map(shutil.which, _PROGRAMS)):
        return False
    trial = "link add near type veth\naddr add 2001:db8::1/64 dev near\n"
    command = ["unshare", "-Urnm", "ip", "-batch", "-"]
    return subprocess.run(command, input=trial.encode(), capture_output=True).returncode == 0


@contextmanager
def _namespace(command: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Keep the namespaces that a command creates; yield a process in them and how to enter them."""
    holder = subprocess.Popen(
        [*command, "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:  # it ends when its input is closed
        assert holder.stdout
        assert holder.stdout.readline() == b"\n"
        spaces = ("--user", "--net", "--mount", "--preserve-credentials")
        yield holder.pid, ["nsenter", "--target", str(holder.pid), *spaces]


def _ip(inside: Sequence[str], commands: str) -> None:
    subprocess.run([*inside, "ip", "-batch", "-"], input=commands.encode(), check=True)


def _sockets(inside: Sequence[str]) -> list[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        command = [*inside, sys.executable, "-Sc", _SOCKETS, str(number)]
        subprocess.run(command, pass_fds=[number], check=True)
        _, files, _, _ = socket.recv_fds(ours, 1, 3)
        return [socket.socket(fileno=file) for file in files]


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


# names ------------------------------------------------------------------------------------------

_OK, _SERVFAIL, _NXDOMAIN = 0, 2, 3
_TYPES = {1: "A", 28: "AAAA"}
_BYTES = {1: 4, 28: 16}
_NAME = b"".join(bytes([len(label)]) + label for label in HOST.encode().split(b".")) + b"\0"


class NameServer(asyncio.DatagramProtocol):
    """Answers for `HOST` with the addresses that a test sets; without any, no name exists."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.addresses: Sequence[str] = ()
        self.failures = 0
        """How many questions about `HOST` fail before the first that is answered."""
        self.questions: list[str] = []
        """The types of all questions about `HOST`, in the order of arrival."""

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer a question."""
        question = data[12 : data.index(0, 12) + 5]
        kind = int.from_bytes(question[-4:-2])
        status, found = _NXDOMAIN, list[bytes]()
        if question.startswith(_NAME):  # a resolver may also add the machine's domain
            self.questions.append(_TYPES.get(kind, str(kind)))
            if self.failures:
                self.failures -= 1
                status = _SERVFAIL
            elif self.addresses:
                status = _OK
                packed = map(_packed, self.addresses)
                found = [one for one in packed if len(one) == _BYTES.get(kind)]
        answer = data[:2] + struct.pack("!5H", 0x8180 | status, 1, len(found), 0, 0) + question
        for one in found:  # 0xC00C is the name in the question
            answer += struct.pack("!3HIH", 0xC00C, kind, 1, 0, len(one)) + one
        self._socket.sendto(answer, address)


@asynccontextmanager
async def name_server(net: Network) -> AsyncIterator[NameServer]:
    """Run the machine's name server."""
    loop = asyncio.get_running_loop()
    server = NameServer(net.names)
    transport, _ = await loop.create_datagram_endpoint(lambda: server, sock=net.names)
    try:
        yield server
    finally:
        transport.close()

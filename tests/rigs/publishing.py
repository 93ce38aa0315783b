"""The two ways to publish a file, for tests and their child processes."""

from collections.abc import Awaitable, Callable

from asyncsync.disk import Folder
from asyncsync.model import Proof, Reason, RemoteObject, Transfer

MODIFIED = 1_767_225_600_123_456_000
"""When objects were last modified, in nanoseconds since the epoch."""

Publish = Callable[[Folder, Transfer, bytes], Awaitable[None]]


def transfer_of(key: str, size: int = 4, modified_ns: int = MODIFIED) -> Transfer:
    """Return a transfer of a missing object."""
    remote = RemoteObject(key, size, "etag", modified_ns)
    return Transfer(remote, tuple(key.split("/")), Reason.MISSING)


def prove_nothing() -> Proof:
    """Accept any content."""
    return Proof(0)


async def publish_small(folder: Folder, transfer: Transfer, content: bytes) -> None:
    """Publish a file that is written at once."""
    await folder.publish(transfer, content, prove_nothing)


async def publish_large(folder: Folder, transfer: Transfer, content: bytes) -> None:
    """Publish a file that is written in two parts, the second one first."""
    half = len(content) // 2
    async with folder.part_file(transfer) as part:
        part.write(range(half, len(content)), content[half:])
        part.write(range(half), content[:half])
        await folder.publish_parts(transfer, part)

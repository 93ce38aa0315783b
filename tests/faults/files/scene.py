"""The objects of these tests, and how they run asyncsync in a child process."""

import os
from collections.abc import Sequence
from pathlib import Path

from asyncsync.download.download import SMALL
from tests.rigs.child import Done
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.wrapped import wrapped

LARGE = os.urandom(SMALL + 1)
"""The content of an object that is fetched in parts."""
OBJECTS = {"a/1.parquet": b"one", "a/2.parquet": b"two", "b/3.parquet": b"three"}


async def run(wrapper: Sequence[str], s3: ScriptedS3, dest: Path, *arguments: str) -> Done:
    """Sync to `dest` in a child process of `wrapper`."""
    return await wrapped(wrapper, s3.environment, "--quiet", "--dest", str(dest), *arguments)

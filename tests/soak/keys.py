"""G6 and G15: what hostile keys do to the disk and to a terminal."""

import os
import random
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from asyncsync.errors import KeyCollisionError, UnsafeKeyError
from asyncsync.keys import is_too_long
from asyncsync.paths import Paths
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.wrapped import on_a_terminal
from tests.soak.figure import Figure, Measured, Trial
from tests.soak.scene import some_parquet

HOSTILE = [
    *("../x", "a/../../x", "..", "q/..", "./x", ".", "/x", "//x", "a//b", "x", "a/b", "a/", "/"),
    *("\0", "a\0b", "a\\b", "C:\\x", "C:x", "\\\\h\\s", "CON", "a.", "a" * 255, "a" * 256),
    *("é" * 128, "/".join("d" * 300), "\u00e9", "e\u0301", "Case", "case", "x/y", " ", "\n", "\t"),
    *("\x1b]0;title\x07", "\x9b2J", "\x7f", "\u202e", "\udcff", "\udc80/\udc81", ".asyncsync/lock"),
    *(".asyncsync/parts/0", ".ASYNCSYNC/lock", "-rf", "~", "$HOME", "*", "%s", "{}", "%2e%2e/x"),
    *("..%2fx", "a/.", "a/..", ".../x", "..\\x", "x\0/../../y", "\u2025/x", "\uff0e\uff0e/x"),
]
PIECES = [
    *("", ".", "..", "...", "/", "//", "a", "b", "x", "A", "é", "e\u0301", "\0", "\\", "C:", " "),
    *("\n", "\r", "\t", "\x1b[2J", "\x1b]0;t\x07", "\x9b", "\x7f", "\u202e", "\u2028", "\udcff"),
    *("%~", "%+"),
    *(
        "%",
        "%2e",
        "%00",
        "~",
        "-",
        "*",
        "$",
        ".asyncsync",
        "a" * 250,
        "CON",
        "\U0001f600",
        "+",
        "&",
    ),
]
IN_ONE_RUN = 100


def key(rng: random.Random) -> str:
    """Return a key that is made to do harm."""
    return "".join(rng.choices(PIECES, k=rng.randint(1, 8)))


# G6 ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def storing(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs a hundred keys; an object's content is its key. Half encode odd ones."""
    yield partial(_stored, folder / "runs")


async def _stored(runs: Path, rng: random.Random) -> Measured:
    keys = {key(rng) for _ in range(IN_ONE_RUN - 10)} | set(rng.sample(HOSTILE, 10))
    keys = {key for key in keys if key and not is_too_long(key)}
    objects = {key: os.fsencode(key) for key in keys}
    dest, paths = runs / "dest", Paths(encodes=rng.random() < 0.5)
    shutil.rmtree(runs, ignore_errors=True)
    async with ScriptedS3(objects, page_size=rng.choice([7, 50, 1000])) as s3:
        ran = await sync(s3, dest, paths=paths)
    assert ran.error is None, f"ended by {ran.error!r}"
    assert os.listdir(runs) == ["dest"], f"outside: {os.listdir(runs)}"
    found = _files(dest, paths)
    assert found <= keys
    kinds = set(ran.seen.failures.values())
    allowed = {KeyCollisionError} if paths.encodes else {KeyCollisionError, UnsafeKeyError}
    assert kinds <= allowed, f"{kinds}"
    lost = keys - found - ran.seen.failures.keys()
    assert not {key for key in lost if not key.endswith("/")}, f"neither here nor named: {lost!a}"
    assert ran.code == (3 if ran.seen.failures else 0)
    return {"trials": len(keys)}


def _files(dest: Path, paths: Paths) -> set[str]:
    """Return the published files, and insist that each is that of its key."""
    found = set()
    for parent, _, names in os.walk(dest):
        for name in names:
            path = os.path.join(parent, name)
            name = os.path.relpath(path, dest)
            if not name.startswith(".asyncsync/"):
                key = paths.key_of(name)
                assert Path(path).read_bytes() == os.fsencode(key), f"an alias: {key!a}"
                found.add(key)
    return found


G6 = Figure(
    "G6",
    "keys that are made to do harm, generated ones and a fixed list",
    "0 bytes outside, 0 tracebacks, 0 aliases: every key is a file of its name or refused by name",
    10_000,
    storing,
)

# G15 --------------------------------------------------------------------------------------------

OURS = re.compile(r"\x1b\[\d*[AJK]|\x1b\[\?25[hl]|\x1b\[[0-9;]*m|\r|\n|\x08")
"""What bars use."""
ON_SCREEN = 50


@asynccontextmanager
async def showing(folder: Path) -> AsyncIterator[Trial]:
    """Each trial runs the program in a terminal, with bars or with a line for every object."""
    yield partial(_shown, folder / "dest")


async def _shown(dest: Path, rng: random.Random) -> Measured:
    shutil.rmtree(dest, ignore_errors=True)
    keys = {f"{key(rng)}.parquet" for _ in range(ON_SCREEN)}
    objects = {key: some_parquet(rng, 20) for key in keys}
    objects[f"{key(rng)}/\x1b[31m.parquet"] = some_parquet(rng, 300_000)
    options = rng.choice([["--verbose"], [], ["--verbose", "--no-progress"], ["--json"]])
    async with ScriptedS3(objects) as s3:
        settings = s3.environment | {"TERM": "xterm", "COLUMNS": "120"}
        code, text = await on_a_terminal(settings, *options, "--dest", str(dest))
    assert code in {0, 3}, f"exit code {code}: {text[-300:]!a}"
    harmful = {char for char in OURS.sub("", text) if not char.isprintable()}
    assert not harmful, f"on the terminal: {harmful!a}"
    return {"trials": len(objects)}


G15 = Figure(
    "G15",
    "keys with control, bidirectional and odd characters, told in a terminal: bars, text, JSON",
    "0 of these characters on the screen",
    1000,
    showing,
)

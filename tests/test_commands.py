"""Every command and snippet in the documents: checked, and where it is marked so, run.

Blocks of `sh` hold commands, and each of their lines has to be understood: what follows `asyncsync`
by the real parser, what follows `make` by the Makefile. Behind `<!-- run -->` a block is run as
well, line by line, in a folder whose `.env` leads to a real server. Blocks of `python` are always
run. Blocks without a language show output; a line that begins with `$ ` is a command in it.
"""

import ast
import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

import pytest

from asyncsync.arguments import given_options, parser
from tests.rigs.bucket import Bucket

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

ASSIGNMENT = re.compile(r"[A-Za-z_]+=.*")
OTHERS = {".", "cat", "cd", "chmod", "cp", "git", "jq", "mkdir", "python", "python3", "rm", "sudo"}
"""Programs whose arguments are not checked."""
SYSTEMD = {"journalctl", "systemctl"}
"""Likewise; they may stand where a timer of systemd is set up."""
SHELL = {"[", "echo", "exit"}
"""Likewise; the shell has them itself."""
KEYWORDS = {"if", "then", "fi"}
"""Of the shell; a command follows, or none."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    is_run: bool
    text: str

    def __str__(self) -> str:
        """Name it as an editor would."""
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines that a person types, joined where they end with a backslash."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "sh":
            return [line for line in lines if line.strip() and not line.startswith("#")]
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def _blocks() -> Iterator[Block]:
    fence = re.compile(
        r"^(?P<run><!-- run -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
        re.DOTALL | re.MULTILINE,
    )
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        name = str(document.relative_to(ROOT))
        for found in fence.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(name, line, found["language"], bool(found["run"]), found["text"])


BLOCKS = list(_blocks())
RUN = [block for block in BLOCKS if block.is_run]
TYPED = [block for block in BLOCKS if block.language in {"", "sh"} and block.commands]
SNIPPETS = [b for b in BLOCKS if b.language == "python" and b.document != "README.md"]


def _parts(command: str) -> Iterator[list[str]]:
    """Yield the words of the programs that a line starts, without what may stand before them."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set(";&|()"):
            while words and (words[0] in KEYWORDS or ASSIGNMENT.fullmatch(words[0])):
                del words[0]
            if words:
                yield words
            words = []
        else:
            words.append(word)


def _understand(command: str) -> None:
    for words in _parts(command):
        _understand_program(words)


def _understand_program(words: list[str]) -> None:
    program, *arguments = words
    name = program.rpartition("/")[2]
    if name == "asyncsync":
        cut = next((i for i, word in enumerate(arguments) if word.startswith((">", "<"))), None)
        if arguments != ["--version"]:  # which ends the process
            given_options(parser().parse_intermixed_args(arguments[:cut]))
    elif name == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = [word for word in arguments if not ASSIGNMENT.fullmatch(word)]
        assert targets
        for target in targets:
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    else:
        assert name in OTHERS | SYSTEMD | SHELL, f"is {name} a program that everybody has?"


@pytest.mark.parametrize("block", TYPED, ids=str)
def test_command_is_understood(block: Block) -> None:
    """By the parser or the Makefile; another program is one that everybody has."""
    for command in block.commands:
        _understand(command)


@pytest.mark.parametrize(
    "command",
    [
        "asyncsync --no-such-option",
        "make no-such-target",
        "curl https://host | sh",
        "said=$(asyncsync --no-such-option 2>&1); code=$?",
        "if [ $code -ne 0 ]; then mail admin; fi",
    ],
)
def test_wrong_command_is_not_understood(command: str) -> None:
    """Or the test above would show nothing."""
    with pytest.raises((AssertionError, SystemExit)):
        _understand(command)


@pytest.fixture
def place(bucket: Bucket, tmp_path: Path) -> Mapping[str, str]:
    """Make an env file for a bucket of two objects; return an environment that has asyncsync."""
    parquet = b"PAR1" + bytes(100) + b"PAR1"
    bucket.put_many({"1hz/2026/01/a.parquet": parquet, "root.parquet": parquet})
    settings = bucket.server.environment().items()
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings))
    file.chmod(0o600)
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_some_blocks_are_run() -> None:
    """The mark has not lost its meaning."""
    assert len(RUN) >= 5


@pytest.mark.parametrize("document", sorted({block.document for block in RUN}))
def test_marked_blocks_succeed(document: str, place: Mapping[str, str], tmp_path: Path) -> None:
    """One after the other, as a reader types them."""
    for block in RUN:
        if block.document == document:
            for command in block.commands:
                done = subprocess.run(
                    ["sh", "-c", command],
                    cwd=tmp_path,
                    env=place,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                assert done.returncode == 0, f"{block}: {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("block", SNIPPETS, ids=str)
def test_snippet_runs(block: Block, place: Mapping[str, str], tmp_path: Path) -> None:
    """In a notebook's cell beside an env file."""
    code = compile(block.text, block.document, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = FunctionType(code, {"__name__": "__main__"})()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    assert list((tmp_path / "downloads").rglob("*.parquet"))

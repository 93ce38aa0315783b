"""Every command and snippet in the documents: checked, and run.

Blocks of `sh` hold commands, and each of their lines has to be understood: what follows `asyncsync`
by the real parser, what follows `make` by the Makefile. Then a block is run as a script, in a
folder whose `.env` leads to a real server, unless a comment above it says otherwise. Blocks of
`python` are always run. Blocks without a language show output; a line that begins with `$ ` is a
command in it.
"""

import ast
import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType

import pytest

from asyncsync.cli.arguments import given_options, parser
from tests.rigs.blocks import BY_CI, NOT_RUN, ROOT, Block, blocks
from tests.rigs.bucket import Bucket

ASSIGNMENT = re.compile(r"[A-Za-z_]+=.*")
OTHERS = {".", "cat", "cd", "chmod", "cp", "git", "jq", "mkdir", "python", "python3", "rm", "sudo"}
"""Programs whose arguments are not checked."""
SYSTEMD = {"journalctl", "systemctl"}
"""Likewise; they may stand where a timer of systemd is set up."""
SHELL = {"[", "echo", "exit"}
"""Likewise; the shell has them itself."""
KEYWORDS = {"if", "then", "fi"}
"""Of the shell; a command follows, or none."""


BLOCKS = list(blocks())
SCRIPTS = [block for block in BLOCKS if block.language == "sh"]
MAKES_FIGURES = "docs/reliability.md"
"""Its commands take minutes each; `test_soak` looks at what they do."""
RUN = [block for block in SCRIPTS if not block.mark and block.document != MAKES_FIGURES]
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
    """Make a reader's folder, which leads to a bucket; return an environment that has asyncsync.

    The reader has filled in `.env.example` and has a virtual environment.
    """
    parquet = b"PAR1" + bytes(100) + b"PAR1"
    bucket.put_many({"1hz/2026/01/a.parquet": parquet, "root.parquet": parquet})
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, value in bucket.server.environment().items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    for name in (".env.example", ".env"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    programs = Path(sys.executable).parent
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(programs)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)}


@pytest.mark.parametrize("block", SCRIPTS, ids=str)
def test_block_is_run_or_says_why_not(block: Block) -> None:
    """By a test below, or by .ci/run; few things can be had in neither."""
    assert block.mark in {"", BY_CI} or block.mark.startswith(NOT_RUN)


def test_most_blocks_are_run() -> None:
    """The exceptions have not become the rule."""
    assert len(RUN) >= 15
    assert sum(block.mark.startswith(NOT_RUN) for block in SCRIPTS) <= 3
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "python -m tests.rigs.blocks" in script


@pytest.mark.parametrize("document", sorted({block.document for block in RUN}))
def test_blocks_succeed(document: str, place: Mapping[str, str], tmp_path: Path) -> None:
    """One after the other, as a reader pastes them."""
    for block in RUN:
        if block.document != document:
            continue
        if re.search(r"\bjq\b", block.text) and not shutil.which("jq"):
            pytest.skip("jq is not there")
        done = subprocess.run(
            ["sh", "-e", "-c", block.text.replace("/srv/sensors", str(tmp_path))],
            cwd=tmp_path,
            env=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{block}:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("block", SNIPPETS, ids=str)
def test_snippet_runs(block: Block, place: Mapping[str, str], tmp_path: Path) -> None:
    """In a notebook's cell beside an env file."""
    code = compile(block.text, block.document, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = FunctionType(code, {"__name__": "__main__"})()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    assert list((tmp_path / "downloads").rglob("*.parquet"))

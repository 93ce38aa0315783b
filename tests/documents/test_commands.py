"""Every command and snippet in the documents is checked and run.

`sh` blocks have commands. Each line is checked: `asyncsync` commands with the real parser, `make`
commands with the Makefile. Then the block is run as a script, in a folder whose `.env` names a
bucket on a real server, unless a comment above it says otherwise. `python` blocks are always run.
Blocks without a language show output; in them, a line that begins with `$ ` is a command.
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
from contextlib import suppress
from pathlib import Path
from types import FunctionType

import pytest

from asyncsync.cli.arguments import given_options, parse_arguments
from asyncsync.errors import ConfigError
from tests.rigs.blocks import BY_CI, DOCUMENTS, NOT_RUN, ROOT, Block, blocks
from tests.rigs.bucket import Bucket
from tests.rigs.objects import readable_parquet

ASSIGNMENT = re.compile(r"[A-Za-z_]+=.*")
OTHERS = {
    *(".", "cat", "cd", "chmod", "cp", "git", "head", "jq", "mkdir", "mv", "python", "python3"),
    *("rm", "sudo", "xargs"),
}
"""Programs whose arguments are not checked."""
SYSTEMD = {"journalctl", "systemctl"}
"""Their arguments are not checked either; for setting up a systemd timer."""
SHELL = {"[", "echo", "exit"}
"""Commands of the shell itself, not checked either."""
KEYWORDS = {"if", "then", "fi"}
"""Words of the shell that may stand before a command."""


BLOCKS = list(blocks())
SCRIPTS = [block for block in BLOCKS if block.language == "sh"]
MAKES_FIGURES = "docs/soak.md"
"""Its commands take minutes each; `test_soak` tests them."""
RUN = [block for block in SCRIPTS if not block.mark and block.document != MAKES_FIGURES]
TYPED = [block for block in BLOCKS if block.language in {"", "sh"} and block.commands]
ELSEWHERE = {"README.md", "docs/recipes.md"}
"""Their snippets are run by `test_documents` and `test_recipes`."""
SNIPPETS = [b for b in BLOCKS if b.language == "python" and b.document not in ELSEWHERE]


def _parse_commands(command: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line, without keywords and assignments before it."""
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


def _check(command: str) -> None:
    for words in _parse_commands(command):
        _check_program(words)


def _check_program(words: list[str]) -> None:
    program, *arguments = words
    name = program.rpartition("/")[2]
    if name == "asyncsync":
        cut = next((i for i, word in enumerate(arguments) if word.startswith((">", "<"))), None)
        if arguments != ["--version"]:  # that would exit
            given_options(parse_arguments(arguments[:cut]))
    elif name == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = [word for word in arguments if not ASSIGNMENT.fullmatch(word)]
        assert targets
        for target in targets:
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    else:
        assert name in OTHERS | SYSTEMD | SHELL, f"{name} may not be installed everywhere"


def _inline_commands() -> Iterator[str]:
    """Yield each `asyncsync ...` within a line, but for forms such as `asyncsync COMMAND`."""
    for document in DOCUMENTS:
        text = re.sub(r"(?ms)^```.*?^```$", "", document.read_text(encoding="utf-8"))
        for command in re.findall(r"`(asyncsync [^`\n]+)`", text):
            if not re.search(r"[\[…]|\bCOMMAND\b", command):
                yield command


@pytest.mark.parametrize("block", TYPED, ids=str)
def test_command_is_valid(block: Block) -> None:
    """For the parser or the Makefile; any other program is one that is installed everywhere."""
    for command in block.commands:
        _check(command)


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
def test_invalid_command_is_found(command: str) -> None:
    """Otherwise, the test above would prove nothing."""
    with pytest.raises((AssertionError, ConfigError)):
        _check(command)


@pytest.mark.parametrize("command", sorted(set(_inline_commands())))
def test_inline_command_is_valid(command: str) -> None:
    """A command in the middle of a text or in a table can be typed as it stands there."""
    with suppress(SystemExit):  # of --help
        _check(command)


def test_page_for_other_tools_has_a_command_in_each_row() -> None:
    """Each is one that the test above has parsed."""
    lines = (ROOT / "docs/switching.md").read_text(encoding="utf-8").splitlines()
    table = [line.split("|")[2].strip() for line in lines if re.match(r"\| `", line)]
    assert len(table) >= 40
    assert {cell.strip("`") for cell in table} <= set(_inline_commands())


@pytest.fixture
def place(bucket: Bucket, tmp_path: Path) -> Mapping[str, str]:
    """Prepare a reader's folder, and return an environment in which asyncsync is installed.

    The folder has a filled-in `.env.example` as `.env`, and a virtual environment.
    """
    folders = ("", "1hz/2026/01/", "1hz/2026/11/", "1hz/2026/12/", "fft_hub1/")
    bucket.put_many({f"{folder}a.parquet": readable_parquet() for folder in folders})
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
    """It is run by a test below or by .ci/run, or a comment gives the reason."""
    assert block.mark in {"", BY_CI} or block.mark.startswith(NOT_RUN)


def test_most_blocks_are_run() -> None:
    """Exceptions are rare."""
    assert len(RUN) >= 15
    assert sum(block.mark.startswith(NOT_RUN) for block in SCRIPTS) <= 3
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "python -m tests.rigs.blocks" in script


@pytest.mark.parametrize("document", sorted({block.document for block in RUN}))
def test_blocks_succeed(
    document: str, place: Mapping[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    """One after the other, as a reader runs them."""
    for block in RUN:
        if block.document != document:
            continue
        if re.search(r"\bjq\b", block.text) and not shutil.which("jq"):
            pytest.skip("jq is not installed")
        text = block.text.replace("/srv/sensors", str(tmp_path))
        text = re.sub("s3://(sensors|sensor-data)/", f"s3://{bucket.server.bucket}/", text)
        done = subprocess.run(
            ["sh", "-e", "-c", text],
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
    """As in a notebook's cell, with an env file in the folder."""
    code = compile(block.text, block.document, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = FunctionType(code, {"__name__": "__main__"})()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    assert list((tmp_path / "downloads").rglob("*.parquet"))

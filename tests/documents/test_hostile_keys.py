"""The samples of the documents, copied as they stand, in a terminal and on keys that attack it."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.rigs.blocks import Block, blocks
from tests.rigs.objects import readable_parquet
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.terminal import Terminal
from tests.rigs.wrapped import any_on_a_terminal

pytestmark = pytest.mark.anyio

ATTACK = "\x1b]0;owned\x07\x9b2J\u202e\nforged: line"
GOOD = f"1hz/{ATTACK}.parquet"
BAD = f"1hz/{ATTACK}-bad.parquet"
OBJECTS = {
    GOOD: readable_parquet(),
    BAD: b"no Parquet",
    f"{ATTACK}/a.parquet": readable_parquet(),
}

PYTHON = [
    block
    for block in blocks()
    if block.language == "python" and "S3FileSystem" not in block.text  # needs more of a server
]
JQ = [line for b in blocks() if b.language == "sh" for line in b.commands if "| jq " in line]

AWAITING = """
import ast, asyncio, sys, types
source = open(sys.argv[1]).read()
code = compile(source, "sample", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = types.FunctionType(code, {"__name__": "__main__", "__builtins__": __builtins__})()
if asyncio.iscoroutine(result):
    asyncio.run(result)
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A terminal's settings, and a PATH on which asyncsync is."""
    monkeypatch.delenv("ASYNCSYNC_PARQUET_CHECK")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    root = str(Path(__file__).parents[2])
    return {"TERM": "xterm", "COLUMNS": "100", "PATH": path, "PYTHONPATH": root}


def check_screen(text: str) -> str:
    """Check that only our own cursor movements reached the terminal, and return the text."""
    Terminal().write(text.replace("\r\n", "\n"))  # raises on any other control sequence
    assert not [line for line in text.splitlines() if line.startswith("forged")]
    return text


@pytest.mark.row(164)
@pytest.mark.parametrize("block", PYTHON, ids=str)
async def test_python_sample_shows_keys_harmlessly(
    block: Block, settings: dict[str, str], tmp_path: Path
) -> None:
    """What it prints of a key is one line without control characters."""
    sample = tmp_path / "sample.py"
    sample.write_text(block.text)
    async with ScriptedS3(OBJECTS) as s3:
        environment = s3.environment | settings
        is_script = "__main__" in block.text  # other processes import it
        harness = [] if is_script else ["-c", AWAITING]
        code, text = await any_on_a_terminal(environment, sys.executable, *harness, str(sample))
    check_screen(text)
    assert code in {0, 1}, text
    assert "Traceback" not in text
    if ".remote.key" in block.text and "print" in block.text and "plan" not in block.text:
        assert r"\x1b]0;owned\x07\x9b2J\u202e\nforged: line-bad" in text


@pytest.mark.row(164)
@pytest.mark.parametrize("command", JQ)
@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
async def test_jq_sample_shows_keys_harmlessly(command: str, settings: dict[str, str]) -> None:
    """Each key is one line of ASCII."""
    async with ScriptedS3(OBJECTS) as s3:
        code, text = await any_on_a_terminal(s3.environment | settings, "sh", "-c", command)
    assert code == 0
    text = check_screen(re.sub(r"\x1b\[[\d;]*m", "", text))  # the colours of jq itself
    if ".key" in command:
        assert r"\u001b]0;owned\u0007\u009b2J\u202e\nforged: line" in text


def test_samples_that_show_keys_are_found() -> None:
    """Otherwise, the tests above would prove nothing."""
    assert sum(".key" in block.text for block in PYTHON) >= 3
    assert sum(".key" in command for command in JQ) == 4

"""What a notebook shows of an error."""

import os
import subprocess
import sys
from pathlib import Path

from asyncsync.errors import NetworkError

CELL = """\
import asyncsync
import mine
def of_a_cell():
    mine.call(asyncsync.run)
of_a_cell()
"""


def test_notebook_shows_the_lines_of_its_user_and_the_message(tmp_path: Path) -> None:
    """Nothing of this package or of IPython; a line of a file has its name."""
    mine = tmp_path / "mine.py"
    mine.write_text("def call(run):\n    run(newer_than='soon')\n")
    environment = {
        **os.environ,
        "IPYTHONDIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "IPython", "--quick", "--colors=nocolor", "-c", CELL]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    *lines, said = done.stdout.splitlines()
    assert lines == [
        "line 5: of_a_cell()",
        "line 4: mine.call(asyncsync.run)",
        f"{mine}, line 2: run(newer_than='soon')",
    ]
    assert said.startswith("ConfigError: newer_than: 'soon' is neither off, an age such as 30d")


def test_hint_is_shown_and_no_control_character_is() -> None:
    """A key in a message may hold any."""
    error = NetworkError("cannot connect\x1b[2J")
    [said] = error._render_traceback_()
    assert said == rf"NetworkError: cannot connect\x1b[2J; {error.hint}"

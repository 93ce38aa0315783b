"""The picture of a terminal."""

import re
import subprocess
import sys

from tests import ROOT


def test_screen_becomes_a_picture() -> None:
    """Lines are texts, and what is drawn of blocks is as wide in the picture."""
    screen = "$ a <b>\n1/2 files  \x1b[36m██▌\x1b[39m   50%   1.00 MB\n\n"
    done = subprocess.run(
        [sys.executable, "docs/picture.py"],
        cwd=ROOT,
        input=screen.encode(),
        capture_output=True,
        check=True,
        env={"PYTHONUTF8": "1"},
    )
    picture = done.stdout.decode()
    assert re.findall(r'<text x="([\d.]+)" y="(\d+)"[^>]*>([^<]*)</text>', picture) == [
        ("16.0", "28", "$ a &lt;b&gt;"),
        ("16.0", "47", "1/2 files"),
        ("158.8", "47", "50%"),
        ("209.2", "47", "1.00 MB"),
    ]
    assert '<rect x="108.4" y="35" width="21.0" height="15" fill="#6fb1e0"/>' in picture

"""How many movers a run has."""

import os
import sys
from pathlib import Path

import pytest

from asyncsync.movers import hire
from asyncsync.movers.hire import can_move, usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", 16),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("9900000 100000\n", 16),
        ("nonsense", 16),
        ("1 0", 16),
        ("", 16),
    ],
)
def test_container_has_as_many_as_it_may_use(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as many as the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(hire, "QUOTA", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("executable", "frozen", "expected"),
    [
        ("/usr/bin/python3.14", False, True),
        ("/opt/pypy3", False, True),
        ("/app/asyncsync", True, False),
        ("/usr/bin/python3", True, False),
        ("/usr/bin/uwsgi", False, False),
        ("", False, False),
        (None, False, False),
    ],
)
def test_program_that_embeds_python_is_not_started_again(
    executable: str | None, frozen: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no Python that would run a mover."""
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert can_move() == (expected and sys.platform != "win32")

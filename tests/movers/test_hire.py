"""How many movers a run may have."""

import os
import sys
from pathlib import Path

import pytest

from asyncsync.model import Settings
from asyncsync.movers import Hire, hire, memory
from asyncsync.movers.hire import MEMORY, MOST, can_move, usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", 16),
        ("150000 100000\n", 2),
        ("149000 100000\n", 1),
        ("250000 100000\n", 3),
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
    monkeypatch.setattr(hire, "GROUP", tmp_path)
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("150000", 2), ("0", 1), ("max", 16)])
def test_container_of_an_older_system_has_as_many_as_it_may_use(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its control groups are of the first version, where each number has a file."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(hire, "GROUP", tmp_path)
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
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


def hire_of(number: int | None) -> Hire:
    return Hire(number, Settings("id", "secret", "https://host", "bucket"), 30.0, None, 256, 3)


@pytest.mark.parametrize(("cores", "wanted"), [(1, 0), (2, 2), (4, 4), (64, MOST)])
def test_there_is_one_for_each_processor(
    cores: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many processors one brain can feed only so many; with a single one, none would help."""
    monkeypatch.setattr("asyncsync.movers.hire.usable_cores", lambda: cores)
    monkeypatch.setattr("asyncsync.movers.hire.free_memory", lambda: None)
    assert hire_of(None).wanted == wanted


@pytest.mark.parametrize(
    ("free", "wanted"),
    [(None, 4), (100 * MEMORY, 4), (7 * MEMORY, 3), (4 * MEMORY, 2), (3 * MEMORY, 0), (0, 0)],
)
def test_movers_take_at_most_half_of_the_free_memory(
    free: int | None, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small container has as many as fit, or none, and is not killed for want of memory."""
    monkeypatch.setattr("asyncsync.movers.hire.usable_cores", lambda: 4)
    monkeypatch.setattr("asyncsync.movers.hire.free_memory", lambda: free)
    assert hire_of(None).wanted == wanted


@pytest.mark.parametrize(
    ("limit", "used", "free"),
    [("max", "1", 8 << 20), ("5000", "4000", 1030), ("9", "4000", 0), (None, "1", 8 << 20)],
)
def test_free_memory_is_that_of_the_container(
    limit: str | None,
    used: str,
    free: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What its limit leaves counts, with the cache of files, if that is less than the machine's."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 16384 kB\nMemAvailable: 8192 kB\nHugePages: 0\n")
    (tmp_path / "memory.stat").write_text("anon 7\nactive_file 10\ninactive_file 20\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert memory.free_memory() == free
    (tmp_path / "meminfo").unlink()
    (tmp_path / "memory.stat").unlink()
    assert memory.free_memory() is None


@pytest.mark.parametrize("number", [0, 1, 3, 64])
def test_who_says_how_many_gets_as_many(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr("asyncsync.movers.hire.usable_cores", lambda: 1)
    assert hire_of(number).wanted == number


@pytest.mark.parametrize(
    ("limit", "used", "free"),
    [("5000", "4000", 1030), ("9", "4000", 0), (str(2**63 - 4096), "4000", 8 << 20)],
)
def test_free_memory_is_that_of_the_container_of_an_older_system(
    limit: str, used: str, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control group of the first version without a limit has one that nobody reaches."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 16384 kB\nMemAvailable: 8192 kB\n")
    (group := tmp_path / "memory").mkdir()
    (group / "memory.stat").write_text("cache 7\nactive_file 10\ninactive_file 20\n")
    (group / "memory.usage_in_bytes").write_text(f"{used}\n")
    (group / "memory.limit_in_bytes").write_text(f"{limit}\n")
    assert memory.free_memory() == free

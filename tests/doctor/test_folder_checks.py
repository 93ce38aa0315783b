"""Checks of the local side, one by one."""

import os
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from asyncsync.descriptors import affordable_requests, needed_descriptors
from asyncsync.disk.state import lock
from asyncsync.doctor import folder_checks
from asyncsync.errors import DiskFullError
from asyncsync.report import Verdict
from asyncsync.settings import Options


@pytest.mark.row(151)
def test_unfinished_files_of_users_who_are_gone_are_named(tmp_path: Path) -> None:
    """With their size, as far as this user may look; a container may have changed its uid."""
    parts = tmp_path / ".asyncsync" / "4000000001" / "parts"
    parts.mkdir(parents=True)
    (parts / "0.old").write_bytes(bytes(1_000_000))
    verdict, text = folder_checks.space(Options(dest=tmp_path))
    assert verdict is Verdict.WARNING
    assert f"{parts.parent} (1 MB)" in text


@pytest.mark.row(141)
def test_disk_that_does_not_tell_its_space_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems report only zeros."""
    zeros = SimpleNamespace(total=0, used=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: zeros)
    verdict, text = folder_checks.space(Options(dest=tmp_path))
    assert verdict is Verdict.OK
    assert "does not tell" in text


def test_file_system_without_locks_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There, two runs get the lock at the same time."""
    monkeypatch.setattr(lock, "_lock", lambda file, **_: True)
    verdict, text = folder_checks.locking(Options(dest=tmp_path))
    assert (verdict, "no two runs" in text) == (Verdict.WARNING, True)


@pytest.mark.parametrize(
    ("alias", "text"), [("CASE", "in upper and lower case"), ("e\u0301", "accents")]
)
def test_file_system_that_folds_names_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, alias: str, text: str
) -> None:
    """There, a file can be found by a name that it was not given."""
    exists = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: path.name == alias or exists(path))
    verdict, said = folder_checks.names(Options(dest=tmp_path))
    assert (verdict, text in said) == (Verdict.WARNING, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "inodes", "said"),
    [(5_000_000, 9, "only 5 MB free"), (0, 9, "no space left"), (5_000_000, 0, "no inodes left")],
)
def test_low_space_is_a_warning_and_none_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, inodes: int, said: str
) -> None:
    """That holds also for inodes."""
    blocks = {"f_frsize": 1, "f_blocks": 10**9, "f_bfree": free, "f_bavail": free}
    volume = SimpleNamespace(f_files=10, f_favail=inodes, **blocks)
    monkeypatch.setattr(os, "statvfs", lambda path: volume)
    if free and inodes:
        verdict, text = folder_checks.space(Options(dest=tmp_path))
        assert (verdict, text.startswith(said)) == (Verdict.WARNING, True)
    else:
        with pytest.raises(DiskFullError, match=said):
            folder_checks.space(Options(dest=tmp_path))


def test_low_limit_on_open_files_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding has the number of requests that a run makes with the limit, and no other."""
    limits = (64, needed_descriptors(100))
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, raised: None)
    verdict, text = folder_checks.open_files(Options(max_workers=128))
    assert (verdict, "a sync makes 100 at once" in text) == (Verdict.WARNING, True)
    assert affordable_requests(128) == 100
    assert folder_checks.open_files(Options(max_workers=100))[0] is Verdict.OK
    assert folder_checks.open_files(Options(workers=100))[0] is Verdict.OK
    assert affordable_requests(100) == 100

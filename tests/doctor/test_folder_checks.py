"""Checks of the local side, one by one."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from asyncsync.doctor import folder_checks
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


def test_disk_that_does_not_tell_its_space_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems report only zeros."""
    zeros = SimpleNamespace(total=0, used=0, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: zeros)
    verdict, text = folder_checks.space(Options(dest=tmp_path))
    assert verdict is Verdict.OK
    assert "does not tell" in text

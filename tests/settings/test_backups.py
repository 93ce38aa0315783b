"""Where the folder of --backup-dir may be."""

from pathlib import Path

import pytest

from asyncsync.errors import ConfigError
from asyncsync.paths import Paths
from asyncsync.settings import Options, check_backup_dir


@pytest.mark.parametrize("folder", ["beside", "../elsewhere", "data-old"])
def test_folder_beside_the_destination_is_taken(tmp_path: Path, folder: str) -> None:
    """Also one whose name begins like the destination's."""
    check_backup_dir(tmp_path / folder, tmp_path / "data", Paths(), ())


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("data", "holds the destination"),
        (".", "holds the destination"),
        ("data/old", "is in the destination, .* --exclude 'old/"),
        ("data/1hz/../old", "is in the destination"),
        ("data/.asyncsync/old", "is in the state folder"),
        ("data/.ASYNCSYNC-1000/old", "is in the state folder"),
    ],
)
def test_folder_that_may_be_taken_for_the_destination_is_refused(
    tmp_path: Path, folder: str, why: str
) -> None:
    """The message says what to do."""
    with pytest.raises(ConfigError, match=f"--backup-dir: .* {why}"):
        check_backup_dir(tmp_path / folder, tmp_path / "data", Paths(), ())


def test_link_to_the_destination_is_refused(tmp_path: Path) -> None:
    """It is where it leads to."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    with pytest.raises(ConfigError, match="is in the destination"):
        check_backup_dir(tmp_path / "link" / "old", tmp_path / "data", Paths(), ())


@pytest.mark.parametrize(
    ("exclude", "is_taken"),
    [
        (["old/*"], True),
        (["*.tmp", "o*"], True),
        (["*"], True),
        (["*/old/*"], False),
        (["old"], False),
        (["old/*.parquet"], False),
        (["old/?*"], False),
        (["older/*"], False),
        (["old/"], True),
        (["ol*/"], True),
        (["older/"], False),
        (["old/x/"], False),
        (["[o]ld/*"], True),
        (["Old/*"], False),
    ],
)
def test_folder_in_the_destination_must_be_left_out(
    tmp_path: Path, exclude: list[str], is_taken: bool
) -> None:
    """By a glob that certainly matches whatever is below it."""
    arguments = (tmp_path / "data/old", tmp_path / "data", Paths(), exclude)
    if is_taken:
        check_backup_dir(*arguments)
    else:
        with pytest.raises(ConfigError):
            check_backup_dir(*arguments)


def test_globs_are_matched_with_whole_keys(tmp_path: Path) -> None:
    """What is stripped is part of a key, and what is encoded is not."""
    arguments = (tmp_path / "data/old", tmp_path / "data", Paths("1hz/"))
    check_backup_dir(*arguments, ["1hz/old/*"])
    with pytest.raises(ConfigError, match="1hz/old/"):
        check_backup_dir(*arguments, ["old/*"])


def test_option_is_a_folder(tmp_path: Path) -> None:
    """Given as text or as a path; a file is none."""
    assert Options(backup_dir=tmp_path).backup_dir == tmp_path
    (tmp_path / "file").write_bytes(b"")
    for wrong in ("", "/", tmp_path / "file"):
        with pytest.raises(ConfigError, match="backup_dir: "):
            Options(backup_dir=Path(wrong) if wrong else "")  # type: ignore[arg-type]

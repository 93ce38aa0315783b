"""The lines that a notebook shows beside the bars."""

import pytest

from asyncsync.progress.notices import Notices


@pytest.mark.parametrize(
    ("prefix", "is_absent", "left_out", "line"),
    [
        ("1hzz/\x1b", True, 3, "nothing under prefix 1hzz/\\x1b: no key begins with it"),
        ("1hz/", False, 3, "nothing under prefix 1hz/: include and exclude leave out what is"),
        ("", False, 0, "nothing in the bucket: it is empty"),
    ],
)
def test_prefix_without_objects_is_warned_of(
    capsys: pytest.CaptureFixture[str], prefix: str, is_absent: bool, left_out: int, line: str
) -> None:
    """The line says why, and is safe to print."""
    notices = Notices()
    if left_out:
        notices.filtered({"1hz/": left_out})
    if is_absent:
        notices.absent(prefix)
    notices.unmatched(prefix)
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"asyncsync: {line}")


def test_what_is_left_or_noticed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its line."""
    Notices().held_back("3 objects left")
    Notices().noticed("the server\nis busy")
    assert capsys.readouterr().err.splitlines() == [
        "asyncsync: 3 objects left",
        "asyncsync: the server\\nis busy",
    ]

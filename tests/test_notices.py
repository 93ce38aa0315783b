"""What several processes of a run say is told once."""

from asyncsync.notices import MOST_REMEMBERED, Once


def test_message_is_told_once() -> None:
    """However many say it."""
    told: list[str] = []
    notice = Once(told.append)
    for message in ("a", "b", "a", "b", "c"):
        notice(message)
    assert told == ["a", "b", "c"]


def test_no_message_is_lost_behind_many_others() -> None:
    """Only that it was told may be forgotten."""
    told: list[str] = []
    notice = Once(told.append)
    for number in range(MOST_REMEMBERED + 5):
        notice(str(number))
    assert told == [str(number) for number in range(MOST_REMEMBERED + 5)]

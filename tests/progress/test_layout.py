"""How rows share the width of a terminal."""

import re

import pytest

from asyncsync.keys import display_width
from asyncsync.progress.bar import Bar
from asyncsync.progress.layout import Layout
from tests.rigs.outcomes import MB

NAME = "fft_hub2/raw/2026-01-05.parquet"


def bar(name: str, done: int, total: int, rate: float) -> Bar:
    """Return a bar that has come so far."""
    made = Bar(name, total, done)
    made.rate = rate
    return made


WHOLE = bar("105/188 files", 311 * MB, 848 * MB, 44.9 * MB)


def file(name: str, done: int = 5 * MB) -> Bar:
    """Return the bar of an object."""
    return bar(name, done, 10 * MB, MB)


def texts(*bars: Bar, columns: int, layout: Layout | None = None) -> list[str]:
    """Return the lines without colours."""
    lines = (layout or Layout("utf-8")).texts(bars, columns - 1)
    return [re.sub("\x1b\\[\\d+m", "", line) for line in lines]


def test_lines_have_names_bars_and_figures() -> None:
    """In columns; what is not known is empty."""
    assert texts(WHOLE, file("a"), Bar("b"), columns=100) == [
        f"105/188 files {'█' * 14}{'▎':<25}  36%   311 MB of 848 MB 44.9 MB/s   ETA 00:11",
        f"a             {'█' * 19}{'▌':<20}  50% 5.00 MB of 10.0 MB 1.00 MB/s   ETA 00:05",
        f"b{'':<98}",
    ]


@pytest.mark.parametrize(("columns", "most"), [(80, 33), (120, 62)])
def test_name_is_whole_while_the_terminal_has_room(columns: int, most: int) -> None:
    """A bar of ten cells is left beside it."""
    long = "1hz/" + "x" * (most - 4)
    for line in texts(WHOLE, file(NAME), file(long), columns=columns)[1:]:
        assert line.startswith((f"{NAME} ", f"{long} █████"))
        assert "…" not in line


def test_name_that_is_too_long_leaves_room_for_the_bar() -> None:
    """It loses its middle."""
    (_, line) = texts(WHOLE, file("1hz/2026/" + "x" * 300 + "/05.parquet"), columns=80)
    assert re.fullmatch(r"1hz/2026/x+…x+/05\.parquet █████ {5}  50% .+ETA 00:05", line)
    assert display_width(line) == 79


def test_bars_do_not_jump_when_a_long_name_ends() -> None:
    """Names keep their room until the terminal has another width."""
    layout = Layout("utf-8")
    (_, before) = texts(WHOLE, file(NAME), columns=80, layout=layout)
    (_, after) = texts(WHOLE, file("a"), columns=80, layout=layout)
    assert before.index("█") == after.index("█") == len(NAME) + 1
    (_, resized) = texts(WHOLE, file("a"), columns=90, layout=layout)
    assert resized.index("█") == len(WHOLE.desc) + 1


def test_bars_are_coloured_and_figures_are_not() -> None:
    """The colour ends with the bar."""
    (line,) = Layout("utf-8").texts([WHOLE], 99)
    assert re.findall("\x1b\\[(\\d+)m([^\x1b]*)", line)[0] == ("36", f"{'█' * 14 + '▎':<39}")
    assert line.count("\x1b") == 2


def test_ascii_terminal_gets_ascii() -> None:
    """Bars of number signs, and names with what it cannot show escaped."""
    (_, line) = texts(WHOLE, file("日本/" + "x" * 60), columns=80, layout=Layout("ascii"))
    assert re.match(r"\\u65e5\\u67~x+ #####  ", line)
    assert line.isascii()

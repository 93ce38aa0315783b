"""What the bars do to a terminal, and how they leave it."""

import signal
from pathlib import Path

import pytest

from asyncsync.progress.bars import Bars
from asyncsync.progress.suspended import Suspended
from tests.rigs.outcomes import MB, page, transfer
from tests.rigs.process import LARGE
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.terminal import Terminal
from tests.rigs.typed import on_its_terminal

CTRL_C, CTRL_Z = "\x03", "\x1a"
KEY = "fft/large.parquet"
"""The only object where half of it comes: of several, this one may be the first to end."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """An empty screen, on which bars are drawn at every event."""
    monkeypatch.setattr("asyncsync.progress.terminal.Terminal.seconds_between_draws", 0)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "24")
    return Terminal(100)


def test_all_rows_are_drawn_with_one_write(terminal: Terminal) -> None:
    """A terminal never shows half of them."""
    with Bars(terminal) as bars:
        bars.compared(page(transfer("a"), transfer("b")))
        for key in "ab":
            bars.started(transfer(key))
            bars.advanced(transfer(key), MB)
        before = len(terminal.written)
        bars.draw()
        assert len(terminal.written) == before + 1
        assert terminal.written[-1].count("\n") == 2


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_cursor_is_hidden_while_bars_are_drawn(
    terminal: Terminal, error: type[BaseException] | None
) -> None:
    """It is there again however the run ends, and was there before the first bar."""
    bars = Bars(terminal)

    def run() -> None:
        with bars:
            bars.compared(page(transfer("a")))
            assert not terminal.has_cursor
            if error:
                raise error

    assert terminal.has_cursor
    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    assert terminal.has_cursor


@pytest.mark.anyio
async def test_ctrl_c_gives_the_cursor_back(tmp_path: Path) -> None:
    """The summary follows where the bars were."""
    async with ScriptedS3({KEY: LARGE}) as s3:
        s3.allowance = len(LARGE) // 2
        script = 'set -m; "$@"; echo "[code $?]"'
        async with on_its_terminal(script, s3.environment, "--dest", str(tmp_path)) as typist:
            await typist.sees(KEY)
            assert not typist.has_cursor
            typist.type(CTRL_C)
            await typist.sees("[code 130]")
            assert typist.has_cursor


@pytest.mark.anyio
async def test_process_that_has_to_be_ended_gives_the_cursor_back(tmp_path: Path) -> None:
    """Nothing else is cleaned up when a stopped run does not end, as with a disk that hangs."""
    script = tmp_path / "hangs.py"
    script.write_text("""
import sys, time
from asyncsync.cli.signals import watch_signals
from asyncsync.progress.bar import Bar
from asyncsync.progress.terminal import Terminal

with watch_signals() as watch, watch.stopping(lambda: None, lambda _: None):
    Terminal(sys.stderr).draw([Bar("drawn")])
    time.sleep(60)
""")
    async with on_its_terminal(f'set -m; "$1" "{script}"; echo "[code $?]"', {}) as typist:
        await typist.sees("drawn")
        assert not typist.has_cursor
        typist.type(CTRL_C)
        await typist.sees("[code 130]")
        assert typist.has_cursor


@pytest.mark.anyio
async def test_ctrl_z_gives_the_terminal_back_until_the_run_goes_on(tmp_path: Path) -> None:
    """The bars are cleared and the cursor is there; in the foreground again, they are drawn."""
    async with ScriptedS3({KEY: LARGE}) as s3:
        s3.allowance = len(LARGE) // 2
        script = 'set -m; "$@"; echo "[stopped]"; read -r line; fg; echo "[code $?]"'
        async with on_its_terminal(script, s3.environment, "--dest", str(tmp_path)) as typist:
            await typist.sees(KEY)
            typist.type(CTRL_Z)
            await typist.sees("[stopped]")
            assert typist.has_cursor
            stopped = typist.seen
            assert stopped.rpartition(KEY)[2].count("\x1b[J\x1b[?25h") == 1
            typist.seen = ""
            typist.type("\n")
            await typist.sees(KEY)
            assert not typist.has_cursor
            typist.type(CTRL_C)
            await typist.sees("[code 130]")
            assert typist.has_cursor


@pytest.mark.anyio
async def test_run_in_the_background_draws_no_bars(tmp_path: Path) -> None:
    """The terminal is somebody else's then."""
    async with ScriptedS3({KEY: LARGE}) as s3:
        s3.allowance = len(LARGE) // 2
        script = 'set -m; "$@" & read -r line; kill -TERM %1; wait; echo "[over]"'
        async with on_its_terminal(script, s3.environment, "--dest", str(tmp_path)) as typist:
            await typist.sees("total ")
            typist.type("\n")
            await typist.sees("[over]")
            assert KEY not in typist.seen
            assert "\x1b[?25l" not in typist.seen


def test_program_with_its_own_handler_of_ctrl_z_keeps_it() -> None:
    """Bars take the signal only where nobody else has, and give it back."""
    suspended = Suspended(lambda: None)
    suspended.begin()
    assert signal.getsignal(signal.SIGTSTP) == suspended._stop
    suspended.end()
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    try:
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        suspended.begin()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        suspended.end()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)

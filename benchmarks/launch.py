"""Run one program and print what it took as JSON; a tiny process of its own.

    python -I -S launch.py LIMIT_SECONDS OUTPUT_FILE TERMINAL PROGRAM [ARGUMENT ...]

Linux counts the memory of whoever starts a program towards that program's peak, so the starter has
to be small: nothing but a few built-in modules is imported. CPU seconds and peak memory are those
of the program and of all children it waited for. With TERMINAL 1 the program writes to a terminal.
SIGTERM ends the program, and what it took until then is printed.
"""

import os
import signal
import sys
import time


def main() -> None:
    """Do what the module says."""
    limit, output, terminal, *argv = sys.argv[1:]
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    if terminal == "1":
        actions = [(os.POSIX_SPAWN_DUP2, _terminal(output), stream) for stream in (0, 1, 2)]
    started_at, started = time.time(), time.monotonic()
    child = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsid=True)
    ended_by = ""

    def end(signum: int, _frame: object) -> None:
        nonlocal ended_by
        ended_by = signal.Signals(signum).name
        os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGTERM, end)
    signal.setitimer(signal.ITIMER_REAL, float(limit))
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - started
    exit_code = os.waitstatus_to_exitcode(status)
    print(
        f'{{"started_at": {started_at}, "wall": {wall}, "cpu": {usage.ru_utime + usage.ru_stime}, '
        f'"peak": {usage.ru_maxrss * 1024}, "exit_code": {exit_code}, "ended_by": "{ended_by}"}}'
    )


def _terminal(output: str) -> int:
    """Return a terminal of 40 lines and 120 columns whose screen goes to the file `output`."""
    import fcntl
    import struct
    import termios
    import threading

    keyboard, screen = os.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def drain() -> None:
        with open(output, "wb") as file:
            while True:
                file.write(os.read(keyboard, 65536))

    threading.Thread(target=drain, daemon=True).start()
    return screen


if __name__ == "__main__":
    main()

"""System calls that fail: any call, or those that work on unfinished files."""

import io
import os
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.rigs.state import PARTS


def failing_call(number: int) -> Callable[..., NoReturn]:
    """Return a function that raises OSError with this errno, whatever its arguments are."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


class FailingDisk:
    """Makes calls on unfinished files fail: write, truncate, close, sync, rename.

    FailingDisk(monkeypatch, errno.ENOSPC, "write", times=1)  # only the first write fails
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, number: int, *calls: str, times: int = 1_000_000
    ) -> None:
        self.failures = 0
        """How many calls have failed."""
        self._number = number
        self._calls = calls
        self._times = times
        for function, call in _FUNCTIONS.items():
            monkeypatch.setattr(os, function, self._wrap(call, getattr(os, function)))
        monkeypatch.setattr(os, "close", self._wrap_close(os.close))
        real_open: Callable[..., object] = open

        def wrapped_open(
            path: object, mode: str = "r", *arguments: object, **options: object
        ) -> object:
            if "b" in mode and self._is_part(path) and not str(path).endswith(".journal"):
                return FailingFile(self, str(path), mode.replace("b", ""))
            return real_open(path, mode, *arguments, **options)

        monkeypatch.setattr("builtins.open", wrapped_open)
        monkeypatch.setattr("aiofiles.threadpool.sync_open", wrapped_open)

    def before(self, call: str) -> None:
        """Raise if this call is one that fails."""
        if call in self._calls and self.failures < self._times:
            self.failures += 1
            raise OSError(self._number, os.strerror(self._number))

    def _wrap(self, call: str, function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(
            file: object,
            *arguments: object,
            src_dir_fd: int | None = None,
            **options: object,
        ) -> object:
            if self._is_part(file, src_dir_fd):
                self.before(call)
            if src_dir_fd is not None:
                options["src_dir_fd"] = src_dir_fd
            return function(file, *arguments, **options)

        return wrapped

    def _wrap_close(self, close: Callable[[int], None]) -> Callable[[int], None]:
        """Close a descriptor, and then perhaps fail."""

        def wrapped(file: int) -> None:
            fails = self._is_part(file) and not _path_of(file).endswith(".journal")
            close(file)
            if fails:
                self.before("close")

        return wrapped

    @staticmethod
    def _is_part(file: object, folder: int | None = None) -> bool:
        path = _path_of(file) if isinstance(file, int) else str(file)
        if folder is not None:
            path = os.path.join(_path_of(folder), path)
        return f"/{PARTS}/" in os.path.realpath(path)


def _path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


_FUNCTIONS = {
    "write": "write",
    "pwrite": "write",
    "ftruncate": "truncate",
    "posix_fallocate": "truncate",
    "fsync": "sync",
    "fdatasync": "sync",
    "rename": "rename",
    "replace": "rename",
}


class FailingFile(io.FileIO):
    """An unfinished file whose calls may fail."""

    def __init__(self, disk: FailingDisk, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self._disk = disk

    def write(self, block: bytes | memoryview, /) -> int:  # type: ignore[override]  # narrower
        """Write, or fail."""
        self._disk.before("write")
        return super().write(block)

    def truncate(self, size: int | None = None, /) -> int:
        """Truncate, or fail."""
        self._disk.before("truncate")
        return super().truncate(size)

    def close(self) -> None:
        """Close the file, and then perhaps fail."""
        was_open = not self.closed
        super().close()
        if was_open:
            self._disk.before("close")

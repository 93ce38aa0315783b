"""A machine on which no more files can be opened for a moment, whenever that is."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count

import pytest

_CALLS = ((os, "open"), (os, "listdir"), (os, "scandir"), (io, "open"), (builtins, "open"))


def each_refused(
    monkeypatch: pytest.MonkeyPatch, times: int = 1
) -> Iterator[AbstractContextManager[None]]:
    """Yield contexts in each of which another open is refused, until there is none left.

    Args:
        monkeypatch: replaces what opens files.
        times: how many opens in a row are refused.
    """
    for refused in count():
        opens = _Opens(range(refused, refused + times))
        yield opens.counted(monkeypatch)
        if opens.number <= refused:
            return


class _Opens:
    """Counts opens, and refuses those of some numbers."""

    def __init__(self, refused: range) -> None:
        self.number = 0
        self._refused = refused

    @contextmanager
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for module, name in _CALLS:
                patch.setattr(module, name, self._counted(getattr(module, name)))
            yield

    def _counted(self, original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            self.number += 1
            if self.number - 1 in self._refused:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return original(*arguments, **options)

        return call

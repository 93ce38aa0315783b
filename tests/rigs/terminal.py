"""A terminal that knows what is on its screen."""

import io
import re

from asyncsync.keys import display_width

_TOKEN = re.compile(r"\x1b\[\??\d*[A-Za-z]|.", re.DOTALL)


class Terminal(io.StringIO):
    """Obeys what asyncsync makes use of, and refuses all else.

    Args:
        width: in cells; lines that are longer go on in the next row.
    """

    def __init__(self, width: int = 100) -> None:
        super().__init__()
        self.width = width
        self.has_cursor = True
        self.written: list[str] = []
        """What was written, write by write."""
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def isatty(self) -> bool:
        """Be one."""
        return True

    def write(self, text: str) -> int:
        """Move the cursor, clear and ignore colours as told; show the rest."""
        self.written.append(text)
        for token in _TOKEN.findall(text):
            match token:
                case "\n":
                    self._row, self._column = self._row + 1, 0
                    self._rows.extend([] for _ in range(self._row + 1 - len(self._rows)))
                case "\r":
                    self._column = 0
                case "\x1b[?25l" | "\x1b[?25h":
                    self.has_cursor = token.endswith("h")
                case _ if up := re.fullmatch(r"\x1b\[(\d+)A", token):
                    self._row -= int(up[1])
                    assert self._row >= 0
                case "\x1b[K":
                    del self._rows[self._row][self._column :]
                case "\x1b[J":
                    del self._rows[self._row][self._column :]
                    del self._rows[self._row + 1 :]
                case "\x1b[31m" | "\x1b[32m" | "\x1b[33m" | "\x1b[36m" | "\x1b[0m":
                    pass
                case _:
                    assert token.isprintable(), f"{token!r} reached the terminal"
                    self._put(token)
        return len(text)

    def _put(self, char: str) -> None:
        """Put a character into a cell, a wide one into two, one that combines onto the last."""
        if self._column + display_width(char) > self.width:
            self._row, self._column = self._row + 1, 0
            self._rows.extend([] for _ in range(self._row + 1 - len(self._rows)))
        row = self._rows[self._row]
        row.extend(" " * (self._column + 1 - len(row)))
        if display_width(char) == 0:
            row[self._column - 1] += char
            return
        row[self._column : self._column + display_width(char)] = [
            char,
            *[""] * (display_width(char) - 1),
        ]
        self._column += display_width(char)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without the empty lines at its end."""
        return "\n".join("".join(row).rstrip() for row in self._rows).rstrip().splitlines()

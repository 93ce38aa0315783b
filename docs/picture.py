"""Draws what a terminal shows as `pictures/bars.svg`. CONTRIBUTING.md says how to make it anew.

tmux capture-pane -p -e | python docs/picture.py > docs/pictures/bars.svg
"""

import html
import re
import sys
from collections.abc import Iterator

_CHAR, _LINE, _EDGE = 8.4, 19, 16
_BLOCKS = " ▏▎▍▌▋▊▉█"
_TITLE = "A sync under way: the sync check, a bar for the whole, and a bar for each large object"
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def draw(screen: str) -> str:
    """Return the picture of a screen, without the empty lines at its end."""
    lines = [re.sub("\x1b\\[[\\d;]*m", "", line) for line in screen.rstrip().splitlines()]
    width = round(max(map(len, lines)) * _CHAR + 2 * _EDGE)
    height = len(lines) * _LINE + 28
    size = f'width="{width}" height="{height}"'
    box = f'viewBox="0 0 {width} {height}" {size} role="img" aria-labelledby="title"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<title id="title">{_TITLE}</title>',
        f'<rect {size} rx="8" fill="#16191d"/>',
        f'<g font-family="{_FONT}" font-size="14" fill="#d7dbe0">',
    ]
    for number, line in enumerate(lines):
        parts.extend(_parts(line, 28 + number * _LINE))
    return "\n".join([*parts, "</g>", "</svg>\n"])


def _parts(line: str, y: int) -> Iterator[str]:
    """Yield the bar of a line and its texts; without a bar, there is one text."""
    has_bar = re.search(f"[{_BLOCKS[1:]}]", line)
    pattern = rf"[{_BLOCKS[1:]}]+|[^{_BLOCKS}](?:(?!  )[^{_BLOCKS[1:]}])*" if has_bar else ".+"
    for found in re.finditer(pattern, line):
        text = found[0].rstrip()
        x = _EDGE + found.start() * _CHAR
        cells = sum(_BLOCKS.index(char) / 8 for char in text if char in _BLOCKS[1:])
        if cells:
            width = cells * _CHAR
            yield f'<rect x="{x:.1f}" y="{y - 12}" width="{width:.1f}" height="15" fill="#6fb1e0"/>'
        elif text.strip():
            width = len(text) * _CHAR
            yield (
                f'<text x="{x:.1f}" y="{y}" textLength="{width:.1f}" xml:space="preserve">'
                f"{html.escape(text)}</text>"
            )


if __name__ == "__main__":
    sys.stdout.write(draw(sys.stdin.read()))

"""The fenced blocks of the documents, and what is to be done with those that hold commands.

A comment above a block of `sh` says when it is not to be run as it stands, beside an env file that
leads to a real server: `<!-- run by .ci/run -->` needs a clone and a package registry, and
`<!-- not run: why -->` needs what no test has.

`python -m tests.rigs.blocks FOLDER` writes the blocks that `.ci/run` runs, each into a file.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

BY_CI = "run by .ci/run"
NOT_RUN = "not run: "

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    mark: str
    """The comment above it, or nothing."""
    text: str

    def __str__(self) -> str:
        """Name it as an editor would."""
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines that a person types, joined where they end with a backslash."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "sh":
            return [line for line in lines if line.strip() and not line.startswith("#")]
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def blocks() -> Iterator[Block]:
    """Yield the blocks of all documents."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        name = str(document.relative_to(ROOT))
        for found in _FENCE.finditer(text):
            line = text.count("\n", 0, found.start("language")) + 1
            yield Block(name, line, found["language"], found["mark"] or "", found["text"])


def main(folder: Path) -> None:
    """Write the blocks that `.ci/run` runs."""
    for block in blocks():
        if block.mark == BY_CI:
            name = str(block).replace("/", "-").replace(":", "-")
            (folder / f"{name}.sh").write_text(block.text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Which rows of the table of faults have which tests: `python -m tests.rows`.

A test says so itself with `@pytest.mark.row(n, ...)`. `python -m tests.rows --write` puts the names
into the last column of the tables in docs/faults.md, where the faults are described.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

ROWS = (
    *range(1, 133),
    *range(135, 139),
    *range(141, 169),
    *range(181, 194),
    *range(201, 208),
)

TESTS = ROOT / "tests"
DOCUMENT = ROOT / "docs" / "faults.md"


def tests_of_rows() -> dict[int, list[str]]:
    """Return the names of each row's tests, read from the source of all tests."""
    found = defaultdict(list)
    for module in sorted(TESTS.rglob("test_*.py")):
        name = module.relative_to(TESTS).with_suffix("").as_posix()
        for test, rows in _marked(module):
            for row in rows:
                found[row].append(f"{name}::{test}")
    return {row: list(dict.fromkeys(found[row])) for row in ROWS}


def _marked(module: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield the tests of a module, and the rows that their decorators name."""
    for test in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = (mark for decorator in test.decorator_list for mark in ast.walk(decorator))
        yield (
            test.name,
            [
                int(ast.literal_eval(argument))
                for mark in marks
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row"
                for argument in mark.args
            ],
        )


def written(document: str) -> str:
    """Return the document with the names of the tests in the last column of the tables of faults.

    They unfold, as most readers want to know what happens. A row without a test keeps what stands
    there, which is why it has none.
    """
    tests = tests_of_rows()

    def with_names(line: re.Match[str]) -> str:
        if not (names := tests[int(line["row"])]):
            return f"{line['start']} {line['last'].strip()} |"
        summary = f"{len(names)} test{'s' if len(names) > 1 else ''}"
        listed = "<br>".join(f"`{name}`" for name in names)
        return f"{line['start']} <details><summary>{summary}</summary>{listed}</details> |"

    line = r"^(?P<start>\| (?P<row>\d+) \|[^|]*\|[^|]*\|)(?P<last>[^|]*)\|$"
    return re.sub(line, with_names, document, flags=re.MULTILINE)


def main() -> None:
    """Print the rows with their tests, or put these into the document."""
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
        return
    for row, names in tests_of_rows().items():
        print(f"{row:3}  {', '.join(names) or 'none'}")


if __name__ == "__main__":
    main()

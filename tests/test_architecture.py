"""The arrows: imports point down, and from a room only what it exports is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

import asyncsync

PACKAGE = Path(asyncsync.__file__).parent

FLOOR = {
    "columns",
    "concurrently",
    "console",
    "crc",
    "descriptors",
    "errors",
    "globs",
    "hashset",
    "interfaces",
    "keys",
    "limits",
    "shards",
    "model",
    "notices",
} | {
    "others",
    "paths",
    "secret",
    "services",
    "threads",
    "times",
    "tracebacks",
    "units",
}
STAGES = {"listing", "compare", "download", "pace", "report"}
ALLOWED = {
    **dict.fromkeys(FLOOR, FLOOR),
    "http": FLOOR,
    "disk": FLOOR,
    "progress": FLOOR,
    "s3": FLOOR | {"http"},
    "pace": FLOOR,
    "report": FLOOR,
    "compare": FLOOR | {"disk"},
    "listing": FLOOR | {"disk", "pace"},
    "download": FLOOR | {"disk", "pace"},
    "movers": FLOOR | {"disk", "pace", "download", "report"},
    "moving": FLOOR | {"movers", "s3"},
    "mirror": FLOOR | STAGES | {"disk"},
    "pipeline": FLOOR | STAGES | {"disk", "mirror", "movers"},
    "settings": FLOOR,
    "given": FLOOR | {"report"},
    "browse": FLOOR | STAGES | {"disk", "pipeline"},
    "api": FLOOR
    | STAGES
    | {"disk", "s3", "progress", "mirror", "movers", "pipeline", "settings", "given"},
    "dask": FLOOR
    | {"disk", "pace", "download", "report", "movers", "pipeline", "given", "api", "s3"},
    "browsing": FLOOR | {"browse", "report", "disk", "settings", "given", "api"},
    "demo": FLOOR | {"s3"},
    "doctor": FLOOR | STAGES | {"disk", "s3", "http", "pipeline", "settings", "api"},
    "cli": FLOOR
    | STAGES
    | {"disk", "progress", "pipeline", "settings", "api", "browse", "demo", "doctor"},
}
"""What each folder, or top-level module, may import besides itself."""

INNER = {
    "folders": {"folders"},
    "parts": {"folders", "parts"},
    "state": {"folders", "parts", "state"},
}
"""What each room inside `disk/` may import of it."""


def imports() -> Iterator[tuple[str, str, list[str]]]:
    """Yield each import of a module of the package: file, room, and the module's name in parts."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "asyncsync":
                for name in node.names:
                    yield path.name, room, [name.name]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asyncsync."):
                yield path.name, room, str(node.module).split(".")[1:]
            elif isinstance(node, ast.Import):
                assert not any(name.name.startswith("asyncsync") for name in node.names), path


def test_imports_point_down() -> None:
    """No folder imports one above it, so there are no circular imports."""
    for file, room, (target, *_) in imports():
        if room not in {"__init__", "__main__", target} and target != "__version__":
            assert target in ALLOWED[room], f"{room}/{file} imports {target}"


def test_imports_inside_the_disk_point_down() -> None:
    """The rooms inside `disk/` stand one on the other, below the modules beside them."""
    for room, allowed in INNER.items():
        for path in (PACKAGE / "disk" / room).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                module = (node.module if isinstance(node, ast.ImportFrom) else None) or ""
                if module.startswith("asyncsync.disk"):
                    inside = module.split(".")[2:]
                    assert inside, f"{path} imports the door of its own room"
                    assert inside[0] in allowed, f"{room}/{path.name} imports {module}"


def test_rooms_are_entered_by_their_doors() -> None:
    """Other rooms import only what a folder's `__init__.py` exports."""
    for file, room, (target, *inside) in imports():
        if inside:
            assert room == target, f"{room}/{file} imports {target}.{inside[0]}"


def test_every_room_says_what_it_is_for() -> None:
    """In three paragraphs: what for, in which order to read it, what must never be in it."""
    for path in PACKAGE.rglob("*/__init__.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert len(docstring.split("\n\n")) == 3, path
        for module in path.parent.glob("[a-z]*.py"):
            assert f"`{module.name}`" in docstring, f"{path.parent.name}: {module.name}"


def test_modules_are_short() -> None:
    """A module has at most 400 lines, a test file at most 600."""
    for folder, most in ((PACKAGE, 400), (Path(__file__).parent, 600)):
        for path in folder.rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= most, path

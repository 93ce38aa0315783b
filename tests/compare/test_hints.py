"""What is said of globs that match nothing, and of a selection that leaves out everything."""

from collections.abc import Sequence

import pytest

from asyncsync.compare import Hints, Selection
from asyncsync.limits import Limits
from asyncsync.model import RemoteObject

OBJECTS = [RemoteObject(key, 5, "etag", 1) for key in ("temp/a.txt", "temp/test/b.txt", "c.json")]


def hints(
    include: Sequence[str],
    exclude: Sequence[str],
    limits: Limits | None = None,
    prefixes: Sequence[str] = (),
) -> Hints:
    found = Hints(Selection(include, exclude, prefixes, limits=limits))
    for remote in OBJECTS:
        if remote.key.startswith(tuple(prefixes) or ""):
            found.note([remote])
    return found


@pytest.mark.parametrize(
    ("include", "exclude", "told"),
    [
        (["*.txt"], [], []),
        (["*.txt", "*.csv"], [], ["no key matches --include '*.csv'"]),
        (["temp/"], ["*/old/*"], []),
        (
            ["temp", "*.json"],
            [],
            [
                (
                    "no key matches --include temp; a glob matches whole keys, so write "
                    "'*/temp/*' for folders of that name"
                )
            ],
        ),
        (
            ["*"],
            ["test", "temp/test/"],
            [
                (
                    "no key matches --exclude test; a glob matches whole keys, so write "
                    "'*/test/*' for folders of that name"
                )
            ],
        ),
    ],
)
def test_globs_that_match_nothing_are_named(
    include: list[str], exclude: list[str], told: list[str]
) -> None:
    """Not those of `exclude` that are patterns, since what they keep out may only come later."""
    assert [*hints(include, exclude).idle()] == told


@pytest.mark.parametrize(
    ("include", "exclude", "limits", "why"),
    [
        (["*.csv"], [], Limits(), "no key matches --include '*.csv'; --include '*' includes all"),
        (
            ["*.txt"],
            ["*"],
            Limits(),
            "--exclude '*' leaves out every key, whatever --include says; do without it",
        ),
        (["*.txt"], ["temp/*"], Limits(), "--exclude leaves out all that --include matches"),
        (["*"], [], Limits(smallest=9), "--min-size leaves out all that --include matches"),
        (
            ["*"],
            ["*.json"],
            Limits(smallest=9),
            "--exclude or --min-size leaves out all that --include matches",
        ),
    ],
)
def test_what_leaves_out_everything_is_named(
    include: list[str], exclude: list[str], limits: Limits, why: str
) -> None:
    """Such as what selects in other tools, where the last glob decides: all out, and some in."""
    assert hints(include, exclude, limits).why_nothing() == why


def test_keys_that_do_not_begin_with_the_prefix_are_no_work_of_an_option() -> None:
    """Some servers take a prefix for a path, and `/temp/` for `temp/`."""
    found = Hints(Selection(["*"], [], ["/temp/"]))
    found.note(OBJECTS)
    assert found.why_nothing() == "none begins with a prefix that was asked for"


@pytest.mark.parametrize(
    ("include", "exclude", "told"),
    [
        (["test/*"], [], ["--include 'test/*'; a glob matches whole keys, so write 'temp/test/*'"]),
        (["*"], ["test/"], ["--exclude test/; a glob matches whole keys, so write temp/test/"]),
        (["*"], ["test/?.txt"], ["--exclude 'test/?.txt'; a glob matches whole keys, so write "]),
        (["*"], ["other/*", "*/x", "temp/old/*", "[t]emp/x"], []),
    ],
)
def test_glob_that_would_match_below_the_prefix_is_told_of(
    include: list[str], exclude: list[str], told: list[str]
) -> None:
    """As it does in other tools; it can match nothing here, since keys begin with the prefix."""
    found = hints(include, exclude, prefixes=["temp/"])
    said = [*found.idle()]
    assert len(said) == len(told)
    assert all(f"no key matches {text}" in line for text, line in zip(told, said, strict=True))
    if include == ["test/*"]:
        assert found.why_nothing() == said[0]

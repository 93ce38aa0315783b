"""What editors, notebooks and `help` say of the arguments: the types are the only table."""

import inspect
import pydoc
import re
from collections.abc import Callable

import pytest

import asyncsync
from asyncsync.api import Given, GivenToSync
from asyncsync.given import describe

DOWNLOADING = [asyncsync.sync, asyncsync.run, asyncsync.stream]
OTHERS = [asyncsync.plan, asyncsync.verify]
FUNCTIONS = [
    *((function, GivenToSync) for function in DOWNLOADING),
    *((function, Given) for function in OTHERS),
]


@pytest.mark.parametrize(("function", "table"), FUNCTIONS)
def test_signature_has_every_argument(function: Callable[..., object], table: type) -> None:
    """By its name and with its type; the first two may be given by their place."""
    signature = inspect.signature(function)
    source, *named = signature.parameters.values()
    assert (source.name, source.kind) == ("source", source.POSITIONAL_ONLY)
    assert (named[0].name, named[0].kind) == ("dest", source.POSITIONAL_OR_KEYWORD)
    assert {each.name: each.annotation for each in named} == table.__annotations__
    assert {each.kind for each in named[1:]} == {source.KEYWORD_ONLY}
    assert {each.default for each in named} == {None}
    assert signature.return_annotation == function.__annotations__["return"]
    signature.bind("1hz/", "downloads", workers=3)
    with pytest.raises(TypeError):
        signature.bind(destination="downloads")


@pytest.mark.parametrize("function", [asyncsync.ls, asyncsync.du])
def test_looks_have_every_argument_and_the_depth(function: Callable[..., object]) -> None:
    """In the signature and in `help`, as the functions that they look for do."""
    signature = inspect.signature(function)
    assert signature.parameters.keys() == {"source", "depth"} | Given.__annotations__.keys()
    assert signature.parameters["depth"].default == 1
    described = inspect.getdoc(function) or ""
    for name in signature.parameters:
        assert described.count(f"\n    {name}: ") == 1, name
    assert "**given" not in described


@pytest.mark.parametrize(("function", "table"), FUNCTIONS)
def test_help_describes_every_argument(function: Callable[..., object], table: type) -> None:
    """Each once, in lines that fit; `help` shows one argument a line as well."""
    shown = pydoc.plain(pydoc.render_doc(function))
    described = re.findall(r"^ {8}(\w+): ", shown.partition("Args:")[2], re.MULTILINE)
    names = ["source", "dest", *(name for name in table.__annotations__ if name != "dest")]
    assert described[: len(names)] == names
    assert "**given" not in shown
    signature, _, text = shown.partition("Args:")
    assert "\n    workers: " in signature
    assert max(map(len, text.splitlines())) <= 104


def test_docstrings_may_be_left_out() -> None:
    """As `python -OO` does."""

    def function(**given: object) -> None: ...

    describe(function, Given)
    assert function.__doc__ is None
    assert [*inspect.signature(function).parameters] == [*Given.__annotations__]

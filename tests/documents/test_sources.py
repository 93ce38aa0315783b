"""docs/named-sources.md: its `asyncsync.toml` is one, and its commands take it."""

import re
from pathlib import Path

from asyncsync.cli.arguments import given_options, parse_arguments
from asyncsync.settings import named_sources
from tests import ROOT

DOCUMENT = (ROOT / "docs/named-sources.md").read_text(encoding="utf-8")


def test_file_and_commands_of_named_sources_are_valid() -> None:
    """Each source that a command names is in the file."""
    text, commands = re.findall(r"^```\w*\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    Path("asyncsync.toml").write_text(text)
    assert list(named_sources(["all"])) == ["sensors", "lab"]
    for command in commands.splitlines():
        program, *words = command.split()
        arguments = parse_arguments(words)
        given_options(arguments)
        assert program == "asyncsync"
        assert named_sources(arguments.source)

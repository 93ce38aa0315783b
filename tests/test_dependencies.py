"""What asyncsync needs of others: little, none of it older than what is known to be good."""

import re
import tomllib

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MOST = 8


def test_dependencies_are_few_and_have_lower_bounds() -> None:
    """And no upper ones, which would keep out the mending of a fault."""
    assert len(PROJECT["dependencies"]) <= MOST
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["demo"]]
    for requirement in needed:
        version = requirement.partition(";")[0].strip()
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9]+(\.[0-9]+)*", version), requirement


def test_what_the_tests_run_with_is_pinned_by_its_hashes() -> None:
    """All of it, so that nobody can put another file in its place."""
    pinned = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    entries = re.findall(r"^[a-z0-9].*(?:\n    .*)*", pinned, re.MULTILINE)
    assert len(entries) > len(PROJECT["dependencies"])
    for entry in entries:
        assert re.match(r"\S+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry

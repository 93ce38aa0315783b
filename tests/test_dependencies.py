"""The dependencies: few, with lower bounds, and pinned for the tests."""

import re
import tomllib

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MOST = 9


def test_dependencies_are_few_and_have_lower_bounds() -> None:
    """They have no upper bounds, which would keep bug fixes out."""
    assert len(PROJECT["dependencies"]) <= MOST
    requirements = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["demo"]]
    for requirement in requirements:
        version = requirement.partition(";")[0].strip()
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9]+(\.[0-9]+)*", version), requirement


def pins(file: str) -> list[str]:
    """Return the entries of a lock, each with its hashes."""
    pinned = (ROOT / file).read_text(encoding="utf-8")
    return re.findall(r"^[a-z0-9].*(?:\n    --.*)*", pinned, re.MULTILINE)


def test_packages_of_the_tests_are_pinned_by_hashes() -> None:
    """All of them, so that no other file can take their place."""
    entries = pins("requirements-dev.txt")
    assert len(entries) > len(PROJECT["dependencies"])
    for entry in entries:
        assert re.match(r"\S+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_demo_runs_with_what_the_tests_run_with() -> None:
    """The same versions by the same hashes: what it installs is not installed again."""
    entries = pins("requirements-demo.txt")
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["demo"]]
    names = {re.split("[>=;]", requirement)[0] for requirement in needed}
    assert names <= {entry.partition("==")[0] for entry in entries}
    assert set(entries) < set(pins("requirements-dev.txt"))


def test_actions_of_the_hosted_checks_are_pinned_by_commits() -> None:
    """A tag can be moved to other code, a commit cannot; the version stands behind it."""
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    actions = re.findall(r"uses: (.*)", text)
    assert len(actions) == 2
    for action in actions:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action

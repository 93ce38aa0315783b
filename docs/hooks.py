"""What MkDocs asks for while it builds the site: pages from elsewhere, and links that suit both.

A link in a document leads to a file of the repository. Here it leads to that file's page, and where
the site has none, its text is all that stays. The reference pages are made from the program itself.
"""

import posixpath
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import asyncsync
from asyncsync.cli.help import EXAMPLES, EXIT_CODES, SETTINGS, usage
from asyncsync.cli.option import Option
from asyncsync.cli.options import COMMANDS, GROUPS, OPTIONS

ROOT = Path(__file__).parent.parent

FROM_THE_ROOT = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Documents of the repository's root, and their pages."""

_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_FOREIGN = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents of the root, and the reference."""
    for source, name in FROM_THE_ROOT.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    files.append(File.generated(config, "options.md", content="\n".join(options())))
    files.append(File.generated(config, "api.md", content="\n".join(api())))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages."""
    origins = {name: source for source, name in FROM_THE_ROOT.items()}
    uri = page.file.src_uri
    folder = posixpath.dirname(origins.get(uri, f"docs/{uri}"))

    def on_the_site(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, mark, heading = target.partition("#")
        if "://" in target or not path:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, path))
        found = FROM_THE_ROOT.get(path, path.removeprefix("docs/"))
        return f"[{text}]({found}{mark}{heading})" if files.get_file_from_path(found) else text

    return _LINK.sub(on_the_site, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Insist that the page needs nothing from elsewhere."""
    if found := _FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri}: {found[0]} is not on the site")
    return output


def options() -> Iterator[str]:
    """Yield the page of the command line, made from the tables of commands and options."""
    yield f"# Command line\n\n```text\n{_calls('')}\n```\n\n| command | what it does |\n|---|---|"
    for command, does in COMMANDS.items():
        yield f"| [`{command}`](#{command}) | {does} |"
    yield f"\n```sh\n{textwrap.dedent(EXAMPLES[''])}\n```\n\n{SETTINGS}\n"
    yield f"```text\n{EXIT_CODES}\n```\n\nFor all commands:\n"
    yield from _table([option for option in OPTIONS if not option.commands])
    for command, does in COMMANDS.items():
        yield f"\n## {command}\n\n{does[0].upper()}{does[1:]}.\n\n```text\n{_calls(command)}\n```\n"
        for title, group in GROUPS.items():
            if known := [option for option in group if command in option.commands]:
                yield f"\n**{title.capitalize()}**\n"
                yield from _table(known)
        yield f"\n```sh\n{textwrap.dedent(EXAMPLES.get(command, ''))}\n```"


def _calls(command: str) -> str:
    return re.sub("\n +", "\n", usage(command))


def _table(known: Iterable[Option]) -> Iterator[str]:
    yield "| option | meaning |\n|---|---|"
    for option in known:
        names = ", ".join(f"`{name}`" for name in option.names)
        value = f" `{option.metavar}`" if option.metavar else ""
        meaning = option.help.replace("%%", "%").replace("|", r"\|").replace("*", r"\*")
        yield f"| {names}{value} | {meaning} |"


def api() -> Iterator[str]:
    """Yield the page of the public names; their docstrings fill it."""
    names = [name for name in asyncsync.__all__ if not name.startswith("_")]
    errors = [name for name in names if name.endswith("Error")]
    values = [name for name in names if name[0].isupper() and name not in errors]
    yield "# Python\n\nAll of these are names of `asyncsync`."
    for heading, chosen in (
        ("Functions", [name for name in names if name.islower()]),
        ("Values and observers", values),
        ("Errors", errors),
    ):
        yield f"\n## {heading}\n"
        yield from (f"::: asyncsync.{name}\n" for name in chosen)
    yield "\n## On a Dask cluster\n\n::: asyncsync.dask.sync\n"
    yield "\n## Keyword arguments\n\n::: asyncsync.api.Given\n\n::: asyncsync.api.GivenToSync\n"

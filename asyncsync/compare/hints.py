"""Why nothing is selected, and which globs match nothing: habits of other tools are often why."""

import shlex
from collections.abc import Iterator, Sequence

from asyncsync.compare.selection import Selection, compile_globs
from asyncsync.keys import shown
from asyncsync.model import RemoteObject

_WILD = frozenset("*?[")


class Hints:
    """The globs of a run that have matched no key so far, and what to say of them.

    A glob is looked at until it has matched, so one that does costs next to nothing.

    One of `exclude` that looks like a pattern is not told of: what it keeps out may come later.

    Args:
        selection: the keys that the run syncs.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._include = {glob: compile_globs([glob]) for glob in selection.include}
        names = [glob for glob in selection.exclude if not _WILD & {*glob}]
        self._names = {glob: compile_globs([glob]) for glob in names}

    def note(self, objects: Sequence[RemoteObject]) -> None:
        """Look which globs match an object of a page; an empty folder marker does not count."""
        if not (self._include or self._names):
            return
        names = [one.key.rstrip("/") for one in objects if one.size or not one.key.endswith("/")]
        for idle in (self._include, self._names):
            for glob, pattern in [*idle.items()]:
                if any(map(pattern.match, names)):
                    del idle[glob]

    def why_nothing(self) -> str:
        """Return why nothing is selected of what was listed, and what to do."""
        exclude = self._selection.exclude
        for_all = [glob for glob in exclude if not glob.strip("*")]
        if for_all:
            return (
                f"--exclude {_quoted(for_all[0])} leaves out every key, and wins over --include in "
                "any order; without it, only what --include matches is selected"
            )
        if len(self._include) == len(set(self._selection.include)):
            globs = " ".join(map(_quoted, self._include))
            return f"no key matches --include {globs}; --include '*' includes all"
        limits = self._selection.limits.options if self._selection.limits else []
        options = ["--exclude", *limits] if exclude else limits
        return f"{' or '.join(options)} leaves out all that --include matches"

    def idle(self) -> Iterator[str]:
        """Yield what to say of each glob that matches nothing."""
        for option, globs in (("--include", self._include), ("--exclude", self._names)):
            for glob in globs:
                yield f"no key matches {option} {_quoted(glob)}{_advice(glob)}"


def _advice(glob: str) -> str:
    """Return what to write for what a glob that looks like a name may be meant to match."""
    if _WILD & {*glob}:
        return ""
    folder = f"*/{glob.strip('/')}/*"
    return f"; a glob matches whole keys, so write {_quoted(folder)} for folders of that name"


def _quoted(glob: str) -> str:
    return shlex.quote(shown(glob))

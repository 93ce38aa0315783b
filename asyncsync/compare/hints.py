"""Why nothing is selected, and which globs match nothing: habits of other tools are often why."""

import re
import shlex
from collections.abc import Iterator, Sequence

from asyncsync.compare.selection import Selection
from asyncsync.globs import compile_globs
from asyncsync.keys import shown
from asyncsync.model import RemoteObject

_FIXED = re.compile(r"[^*?[]*")
"""The part of a glob that stands for itself."""


class Hints:
    """The globs of a run that have matched no key so far, and what to say of them.

    A glob is looked at until it has matched, so one that does costs next to nothing.

    One of `exclude` that looks like a pattern is told of only if it would match below the prefix,
    as in other tools: what it is to keep out may come later.

    Args:
        selection: the keys that the run syncs.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        include, exclude = selection.include, selection.exclude
        self._include = {glob: compile_globs([glob]) for glob in include}
        self._exclude = {glob: compile_globs([glob]) for glob in exclude if not _is_pattern(glob)}
        self._prefix = selection.prefixes[0] if len(selection.prefixes) == 1 else ""
        below = [glob for glob in (*include, *exclude) if self._is_below(glob)]
        self._below = {glob: compile_globs([self._prefix + glob]) for glob in below}
        """Globs that can match nothing under the prefix, unless they are meant to begin there."""
        self._meant: set[str] = set()
        """Those of them that would match a key."""

    def _is_below(self, glob: str) -> bool:
        """Return whether the glob has a beginning of its own, which is not the prefix's."""
        fixed = _FIXED.findall(glob)[0]
        return not (self._prefix.startswith(fixed) or fixed.startswith(self._prefix))

    def note(self, objects: Sequence[RemoteObject]) -> None:
        """Look which globs match an object of a page; an empty folder marker does not count."""
        if not (self._include or self._exclude or self._below):
            return
        names = [one.key.rstrip("/") for one in objects if one.size or not one.key.endswith("/")]
        for idle in (self._include, self._exclude, self._below):
            for glob, pattern in [*idle.items()]:
                if any(map(pattern.match, names)):
                    del idle[glob]
                    if idle is self._below:
                        self._meant.add(glob)

    def why_nothing(self) -> str:
        """Return why nothing is selected of what was listed, and what to do."""
        exclude = self._selection.exclude
        for_all = [glob for glob in exclude if not glob.strip("*")]
        if for_all:
            glob = _quoted(for_all[0])
            return f"--exclude {glob} leaves out every key, whatever --include says; do without it"
        if len(self._include) == len(set(self._selection.include)):
            if self._meant:
                return next(self.idle())
            globs = " ".join(map(_quoted, self._include))
            return f"no key matches --include {globs}; --include '*' includes all"
        limits = self._selection.limits.options if self._selection.limits else []
        options = ["--exclude", *limits] if exclude else limits
        if not options:  # some servers take a prefix for a path: `/x` for `x`
            return "none begins with a prefix that was asked for"
        return f"{' or '.join(options)} leaves out all that --include matches"

    def idle(self) -> Iterator[str]:
        """Yield what to say of each glob that matches nothing."""
        for glob in self._include:
            yield f"no key matches --include {_quoted(glob)}{self._advice(glob)}"
        for glob in self._selection.exclude:
            if glob in self._exclude or glob in self._meant:
                yield f"no key matches --exclude {_quoted(glob)}{self._advice(glob)}"

    def _advice(self, glob: str) -> str:
        """Return what to write for what may be meant."""
        if glob in self._meant:
            instead = _quoted(self._prefix + glob)
        elif not _is_pattern(glob):
            folder = glob.strip("/")
            instead = f"{_quoted(f'*/{folder}/*')} for folders of that name"
        else:
            return ""
        return f"; a glob matches whole keys, so write {instead}"


def _is_pattern(glob: str) -> bool:
    return _FIXED.fullmatch(glob) is None


def _quoted(glob: str) -> str:
    return shlex.quote(shown(glob))

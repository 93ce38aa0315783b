"""What a glob means: it is for whole keys, and `*` matches `/` as well."""

import re
from collections.abc import Sequence
from fnmatch import translate

_ENDING = re.compile(r"\*[^*?[/\\]*", re.DOTALL)
"""What only says how a key ends, such as `*.parquet`."""


def endings(globs: Sequence[str]) -> tuple[str, ...]:
    """Return how the keys end that one of the globs matches; nothing if that is not all it asks."""
    ends = tuple(glob[1:] for glob in globs if _ENDING.fullmatch(glob))
    return ends if len(ends) == len(globs) else ()


def compile_globs(globs: Sequence[str]) -> re.Pattern[str]:
    """Return what matches the keys that one of the globs matches.

    A glob that ends in `/` matches all keys below it.
    """
    return re.compile("|".join(translate(glob + "*" * glob.endswith("/")) for glob in globs))

"""What a glob means: it is for whole keys, and `*` matches `/` as well."""

import re
from collections.abc import Sequence
from fnmatch import translate


def compile_globs(globs: Sequence[str]) -> re.Pattern[str]:
    """Return what matches the keys that one of the globs matches.

    A glob that ends in `/` matches all keys below it.
    """
    return re.compile("|".join(translate(glob + "*" * glob.endswith("/")) for glob in globs))

"""Where to sync from, and how: loaded from arguments, the environment and the env file.

Read `options.py` first: it has the options, and how their values are written. `loading.py` loads
them and `Settings`, whose class is in `model.py`; `envfile.py` reads the env file,
and `endpoint.py` checks the endpoint's URL.

No other room reads settings from the environment or the env file. No error shows their values.
"""

from asyncsync.settings.loading import (
    exposure,
    keys_logged,
    load,
    origins,
    parse,
    unencrypted,
)
from asyncsync.settings.options import Options, Validate, globs, parse_option

__all__ = [
    "Options",
    "Validate",
    "exposure",
    "globs",
    "keys_logged",
    "load",
    "origins",
    "parse",
    "parse_option",
    "unencrypted",
]

"""Where to sync from, and how: read from arguments, the environment and the env file.

Read `options.py` first: it has the options and how their values are written. `loading.py` finds
their values and those of `Settings`, which is in `model.py`; `endpoint.py` checks the endpoint's
URL.

No other room reads the environment or the env file, and no error shows a value that was read.
"""

from asyncsync.settings.loading import exposure, load, origins, parse
from asyncsync.settings.options import Options, Validate, globs, parse_option

__all__ = ["Options", "Validate", "exposure", "globs", "load", "origins", "parse", "parse_option"]

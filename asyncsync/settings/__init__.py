"""Where to sync from, and how: loaded from arguments, the environment and the env file.

Read `options.py` first: it has the options, and how their values are written. `loading.py` loads
them and `Settings`, whose class is in `model.py`; `envfile.py` reads the env file, `endpoint.py`
checks the endpoint's URL and says which bucket it leads to, and `source.py` reads
`s3://bucket/prefix`.

No other room reads settings from the environment or the env file. No error shows their values.
"""

from asyncsync.settings.endpoint import bucket_identity
from asyncsync.settings.loading import exposure, keys_logged, load, origins, parse
from asyncsync.settings.options import Options, Validate, globs, parse_option
from asyncsync.settings.source import split_source, stripped_prefix

__all__ = [
    "Options",
    "Validate",
    "bucket_identity",
    "exposure",
    "globs",
    "keys_logged",
    "load",
    "origins",
    "parse",
    "parse_option",
    "split_source",
    "stripped_prefix",
]

"""Where to sync from, and how: loaded from arguments, the environment and the env file.

Read `options.py` first: it has the options, and how their values are written, `amounts.py` how
sizes and moments are, and `renamed.py` what an option was called before. `loading.py` loads them
and `Settings`, whose class is in `model.py`: `sources.py` finds what is set where, and `remote.py`
makes the settings of it. `envfile.py` reads the env file, `endpoint.py` checks the endpoint's URL
and says which bucket it leads to, `source.py` reads `s3://bucket/prefix`, `keylist.py` a list of
keys, and `aws.py` finds what AWS's own settings say, for runs without a variable of R2's.
`origins.py` tells where each setting is from.

No other room reads settings from the environment or a file. No error shows their values.
"""

from asyncsync.settings.endpoint import bucket_identity
from asyncsync.settings.keylist import named_keys, read_keys
from asyncsync.settings.loading import load, parse
from asyncsync.settings.options import Options, Validate, globs, parse_option
from asyncsync.settings.origins import exposure, keys_logged, origins, unencrypted
from asyncsync.settings.source import split_source, stripped_prefix

__all__ = [
    "Options",
    "Validate",
    "bucket_identity",
    "exposure",
    "globs",
    "keys_logged",
    "load",
    "named_keys",
    "origins",
    "parse",
    "parse_option",
    "read_keys",
    "split_source",
    "stripped_prefix",
    "unencrypted",
]

"""Where to sync from, and how: loaded from arguments, the environment and the env file.

Read `options.py` first: it has the options, and how their values are written, of which
`durations.py` reads durations and ages, `amounts.py` sizes and moments, and `renamed.py` says what
an option was called before. `loading.py` loads them and `Settings`, whose class is in `model.py`:
`sources.py` finds what is set where, and `remote.py` makes the settings of it. `envfile.py` reads
the env file, `endpoint.py` checks the endpoint's URL and says which bucket it leads to, `source.py`
reads `s3://bucket/prefix`, `keylist.py` a list of keys, and `aws.py` finds what AWS's own settings
say, for runs without a variable of R2's. `origins.py` tells where each setting is from, `named.py`
reads the sources that have names in `asyncsync.toml`, and `backups.py` says whether the folder for
backups may be where it is.

No other room reads settings from the environment or a file. No error shows their values.
"""

from asyncsync.settings.backups import check_backup_dir
from asyncsync.settings.durations import parse_duration
from asyncsync.settings.endpoint import bucket_identity
from asyncsync.settings.keylist import named_keys, read_keys
from asyncsync.settings.loading import load, parse
from asyncsync.settings.named import Named, named_source, named_sources
from asyncsync.settings.options import Options, Validate, globs, parse_option
from asyncsync.settings.origins import exposure, keys_logged, origins, unencrypted
from asyncsync.settings.source import split_source, stripped_prefix

__all__ = [
    "Named",
    "Options",
    "Validate",
    "bucket_identity",
    "check_backup_dir",
    "exposure",
    "globs",
    "keys_logged",
    "load",
    "named_keys",
    "named_source",
    "named_sources",
    "origins",
    "parse",
    "parse_duration",
    "parse_option",
    "read_keys",
    "split_source",
    "stripped_prefix",
    "unencrypted",
]

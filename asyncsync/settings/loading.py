"""Loads the configuration of a run: `Settings` for the remote side, `Options` for the rest.

The first place that sets a value wins: an argument, the environment, the env file. The env file is
`./.env` unless another is named. No parent folder is searched, nothing is interpolated, and nothing
is copied into the environment of the process.

Where none of them sets a variable of R2's, and an argument names the bucket, the rest comes from
AWS's settings (`aws.py`). A run that has any of R2's reads nothing of AWS's.
"""

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.model import Settings
from asyncsync.secret import Environment, Secret
from asyncsync.settings.envfile import EnvFile, read_env_file
from asyncsync.settings.options import Options, parse_option
from asyncsync.settings.origins import keys_logged, mistyped, unencrypted
from asyncsync.settings.remote import aws_settings, own_settings
from asyncsync.settings.renamed import apply_since_word, since_note
from asyncsync.settings.sources import (
    UNSET,
    argument_names,
    chosen_settings,
    refuse_quotes,
    set_variables,
    uses_aws,
)

logger = logging.getLogger(__name__)


def load(
    env_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    given: Mapping[str, object] | None = None,
) -> tuple[Settings, Options]:
    """Return the settings and options of a run; warn of exposed secrets, and of old or wrong names.

    Args:
        env_file: the file to read; None reads `./.env` if it exists.
        environ: the environment; None takes that of the process.
        given: values of `Options` fields, by field name, that win over everything; None is unset.
            So are those of `bucket`, `endpoint_url`, `region`, and AWS's `profile`; and of
            `source`, the bucket of `s3://bucket/prefix`.

    Raises:
        ConfigError: something is missing, malformed or contradictory. The message has its name,
            and never its value.
    """
    environ = Environment(environ)
    file = read_env_file(env_file)
    unused = [*mistyped(file, environ)]
    try:
        settings, options = _parse(file, env_file, environ, given)
    except ConfigError as error:
        if not unused:
            raise
        raise ConfigError("; ".join([str(error), *unused])) from error
    if file.exposure:
        if options.strict:
            raise ConfigError(file.exposure)
        logger.warning("%s", file.exposure)
    note = since_note(set_variables(file, environ), given or {})
    for problem in (keys_logged(settings), unencrypted(settings), note, *unused):
        if problem:
            logger.warning("%s", problem)
    return settings, options


def parse(
    env_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    given: Mapping[str, object] | None = None,
) -> tuple[Settings, Options]:
    """Return what `load` returns, without checking who can read the env file.

    Raises:
        ConfigError: as for `load`.
    """
    environ = Environment(environ)
    return _parse(read_env_file(env_file), env_file, environ, given)


def _parse(
    file: EnvFile,
    env_file: Path | None,
    environ: Environment,
    given: Mapping[str, object] | None,
) -> tuple[Settings, Options]:
    chosen = chosen_settings(given or {})
    names = argument_names(given or {}, chosen)
    values = set_variables(file, environ)
    for name, value in values.items():
        refuse_quotes(name, value)
    options = _parse_options(values, given or {})

    def reload() -> Settings:
        return parse(env_file, environ, given)[0]

    if uses_aws(values, chosen):
        return aws_settings(chosen, names, options, reload), options
    settings = own_settings(values, chosen, names, options, file)
    return replace(settings, reload=reload), options


def _parse_options(values: Mapping[str, Secret], given: Mapping[str, object]) -> Options:
    found: dict[str, object] = {}
    for option in fields(Options):
        text = values.get(f"ASYNCSYNC_{option.name.upper()}", UNSET).strip()
        if given.get(option.name) is not None:
            found[option.name] = given[option.name]
        elif text:
            try:
                found[option.name] = parse_option(option.name, text.reveal())
            except ValueError as error:
                raise ConfigError(f"ASYNCSYNC_{option.name.upper()}: {error}") from None
    apply_since_word(found, given)
    return Options(**found)  # type: ignore[arg-type]  # each value has the type of its field

"""Loads the configuration of a run: `Settings` for the remote side, `Options` for the rest.

The first place that sets a value wins: an argument, the environment, the env file. The env file is
`./.env` unless another is named. No parent folder is searched, nothing is interpolated, and nothing
is copied into the environment of the process.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.keys import shown
from asyncsync.model import Settings
from asyncsync.settings.endpoint import endpoint
from asyncsync.settings.envfile import CREATE_HINT, EnvFile, read_env_file
from asyncsync.settings.options import Options, parse_option

logger = logging.getLogger(__name__)

_VARIABLES = {
    "access_key_id": "R2_ACCESS_KEY_ID",
    "secret_access_key": "R2_SECRET_ACCESS_KEY",
    "endpoint_url": "R2_ENDPOINT_URL",
    "bucket": "R2_BUCKET",
    "session_token": "R2_SESSION_TOKEN",
    "region": "R2_REGION",
}
_CREDENTIALS = ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_SESSION_TOKEN")
_OPTIONAL = {"session_token", "region"}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_REGION = re.compile(r"(?!\d+$)[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?")  # a DNS label
_VISIBLE = re.compile(r"[!-~]+")


def load(
    env_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    given: Mapping[str, object] | None = None,
) -> tuple[Settings, Options]:
    """Return the settings and options of a run; warn of what lets others read secrets.

    Args:
        env_file: the file to read; None reads `./.env` if it exists.
        environ: the environment; None takes that of the process.
        given: values of `Options` fields, by field name, that win over everything; None is unset.

    Raises:
        ConfigError: something is missing, malformed or contradictory. The message has its name,
            and never its value.
    """
    file = read_env_file(env_file)
    settings, options = _parse(file, env_file, environ, given)
    if file.exposure:
        if options.strict:
            raise ConfigError(file.exposure)
        logger.warning("%s", file.exposure)
    if logged := keys_logged(settings):
        logger.warning("%s", logged)
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
    return _parse(read_env_file(env_file), env_file, environ, given)


def _parse(
    file: EnvFile,
    env_file: Path | None,
    environ: Mapping[str, str] | None,
    given: Mapping[str, object] | None,
) -> tuple[Settings, Options]:
    values = {**file.values, **(os.environ if environ is None else environ)}
    hint = "" if file.exists else f"; there is no such file here: {CREATE_HINT}"
    settings = _parse_settings(values, f"{file.path}{hint}")
    settings = replace(settings, reload=lambda: parse(env_file, environ)[0])
    return settings, _parse_options(values, given or {})


@dataclass(frozen=True, slots=True)
class Origins:
    """Where settings come from, by the names of their variables; without their values."""

    places: dict[str, str]
    """For each variable that is set: an option, `the environment`, or the env file."""
    hidden: list[str]
    """Variables that the env file sets, but that are empty in the environment, which wins."""
    unknown: list[str]
    """Variables whose names begin like those of settings, but that are no settings."""

    @property
    def mixture(self) -> str:
        """How credentials come from another place than the endpoint; empty if they do not.

        Then whoever wrote the one need not know of the other, and may be sent its credentials.
        """
        endpoint = self.places.get("R2_ENDPOINT_URL", "")
        apart = {name: self.places.get(name, endpoint) for name in _CREDENTIALS}
        named = [f"{name} from {place}" for name, place in apart.items() if place != endpoint]
        if not endpoint or not named:
            return ""
        return (
            f"R2_ENDPOINT_URL comes from {endpoint}, but {', '.join(named)}: make sure that they "
            "belong together, as requests to the one are signed with the other"
        )


def origins(
    env_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    given: Mapping[str, object] | None = None,
) -> Origins:
    """Return where `load` finds each setting.

    Raises:
        ConfigError: the env file cannot be read.
    """
    file, environment = read_env_file(env_file), os.environ if environ is None else environ
    in_file = file.values
    options = {f"ASYNCSYNC_{option.name.upper()}": option.name for option in fields(Options)}
    places: dict[str, str] = {}
    hidden: list[str] = []
    for name in (*_VARIABLES.values(), *options):
        if (given or {}).get(options.get(name, "")) is not None:
            places[name] = f"--{options[name].replace('_', '-')}"
        elif environment.get(name, "").strip():
            places[name] = "the environment"
        elif in_file.get(name, "").strip():
            if name in environment:
                hidden.append(name)
            else:
                places[name] = str(file.path)
    known = {*_VARIABLES.values(), *options}
    similar = {name for name in (*environment, *in_file) if name.startswith(("R2_", "ASYNCSYNC_"))}
    return Origins(places, hidden, sorted(similar - known))


def exposure(env_file: Path | None = None) -> str:
    """Return who else can read the env file, and how to fix it; empty for nobody.

    Raises:
        ConfigError: the env file cannot be read.
    """
    return read_env_file(env_file).exposure


def keys_logged(settings: Settings) -> str:
    """Return where the keys of TLS connections are written to, and who set that; else nothing."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path or sys.flags.ignore_environment or not settings.endpoint_url.startswith("https:"):
        return ""
    return (
        f"SSLKEYLOGFILE is set: the keys of all TLS connections are written to {shown(path)}, and "
        "with them everything that is sent can be read; unset it, unless you mean it"
    )


def _parse_settings(values: Mapping[str, str], file: str) -> Settings:
    found = {
        name: values[variable].strip()
        for name, variable in _VARIABLES.items()
        if values.get(variable, "").strip()
    }
    missing = [
        variable
        for name, variable in _VARIABLES.items()
        if name not in found and name not in _OPTIONAL
    ]
    if missing:
        it = "it" if len(missing) == 1 else "them"
        raise ConfigError(
            f"{', '.join(missing)}: not set; set {it} in the environment or in {file}"
        )
    for name, value in found.items():
        if not _VISIBLE.fullmatch(value):
            raise ConfigError(
                f"{_VARIABLES[name]}: has characters other than visible ASCII; copy it again"
            )
    if not _BUCKET.fullmatch(found["bucket"]):
        raise ConfigError(
            "R2_BUCKET: not a valid bucket name (3 to 63 lower-case letters, digits, '-', '.')"
        )
    if not _REGION.fullmatch(found.get("region", "auto")):
        raise ConfigError("R2_REGION: not a valid region name (letters, digits, '-'), such as auto")
    found["endpoint_url"] = endpoint(found["endpoint_url"], found["bucket"])
    return Settings(**found)  # type: ignore[arg-type]  # `reload`, which is no str, is not in it


def _parse_options(values: Mapping[str, str], given: Mapping[str, object]) -> Options:
    found: dict[str, object] = {}
    for option in fields(Options):
        text = values.get(f"ASYNCSYNC_{option.name.upper()}", "").strip()
        if given.get(option.name) is not None:
            found[option.name] = given[option.name]
        elif text:
            try:
                found[option.name] = parse_option(option.name, text)
            except ValueError as error:
                raise ConfigError(f"ASYNCSYNC_{option.name.upper()}: {error}") from None
    return Options(**found)  # type: ignore[arg-type]  # each value has the type of its field

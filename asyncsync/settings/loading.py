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
from urllib.parse import urlsplit

from asyncsync.errors import ConfigError
from asyncsync.keys import shown
from asyncsync.model import Addressing, Settings
from asyncsync.secret import Environment, Secret
from asyncsync.services import bucket_problem, region_of, virtual_problem
from asyncsync.settings.endpoint import endpoint, is_unencrypted
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
_OPTIONS = {f"ASYNCSYNC_{option.name.upper()}": option.name for option in fields(Options)}
_KNOWN = dict.fromkeys((*_VARIABLES.values(), *_OPTIONS))
"""The names of all variables, in order."""
_UNSET = Secret("")
_CREDENTIALS = ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_SESSION_TOKEN")
_OPTIONAL = {"session_token", "region"}
_TO_SIGN_WITH = {"access_key_id", "secret_access_key", "session_token"}
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
    environ = Environment(environ)
    file = read_env_file(env_file)
    settings, options = _parse(file, env_file, environ, given)
    if file.exposure:
        if options.strict:
            raise ConfigError(file.exposure)
        logger.warning("%s", file.exposure)
    for problem in (keys_logged(settings), unencrypted(settings)):
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
    values = dict(file.values)
    values |= {name: Secret(environ[name]) for name in _KNOWN if name in environ}
    hint = "" if file.exists else f"; there is no such file here: {CREATE_HINT}"
    options = _parse_options(values, given or {})
    settings = _parse_settings(values, f"{file.path}{hint}", options)
    settings = replace(settings, reload=lambda: parse(env_file, environ, given)[0])
    return settings, options


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
    environ = environment = Environment(environ)
    file = read_env_file(env_file)
    in_file = file.values
    places: dict[str, str] = {}
    hidden: list[str] = []
    for name in _KNOWN:
        if (value := (given or {}).get(_OPTIONS.get(name, ""))) is not None:
            no = "no-" if value is False else ""
            places[name] = f"--{no}{_OPTIONS[name].replace('_', '-')}"
        elif environment.get(name, "").strip():
            places[name] = "the environment"
        elif name in in_file and in_file[name].strip():
            if name in environment:
                hidden.append(name)
            else:
                places[name] = str(file.path)
    similar = {name for name in (*environment, *in_file) if name.startswith(("R2_", "ASYNCSYNC_"))}
    return Origins(places, hidden, sorted(similar - _KNOWN.keys()))


def exposure(env_file: Path | None = None) -> str:
    """Return who else can read the env file, and how to fix it; empty for nobody.

    Raises:
        ConfigError: the env file cannot be read.
    """
    return read_env_file(env_file).exposure


def keys_logged(settings: Settings) -> str:
    """Return that keys of TLS connections are wanted, which are not written; else nothing."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path or sys.flags.ignore_environment or not settings.endpoint_url.startswith("https:"):
        return ""
    return (
        f"SSLKEYLOGFILE is set, and has no effect: no keys are written to {shown(path)}, with "
        "which everything could be read that is sent"
    )


def unencrypted(settings: Settings) -> str:
    """Return that all can be read and changed on the way, where it can; else nothing."""
    if not is_unencrypted(settings.endpoint_url):
        return ""
    return (
        "R2_ENDPOINT_URL: http:// sends all unencrypted: whoever is on the way can read it, and "
        "change it, and see a session token; use https:// if the server has it"
    )


def _parse_settings(values: Mapping[str, Secret], file: str, options: Options) -> Settings:
    needless = set() if options.sign_request else _TO_SIGN_WITH
    set_ones = {
        name: _UNSET if name in needless else values.get(variable, _UNSET)
        for name, variable in _VARIABLES.items()
    }
    found = {name: value.strip() for name, value in set_ones.items() if value.strip()}
    missing = [
        variable
        for name, variable in _VARIABLES.items()
        if name not in found and name not in _OPTIONAL | needless
    ]
    if missing:
        it = "it" if len(missing) == 1 else "them"
        raise ConfigError(
            f"{', '.join(missing)}: not set; set {it} in the environment or in {file}"
        )
    for name, value in found.items():
        if name != "bucket" and not _VISIBLE.fullmatch(value.reveal()):
            raise ConfigError(
                f"{_VARIABLES[name]}: has characters other than visible ASCII; copy it again"
            )
    bucket = found["bucket"]
    endpoint_url = endpoint(found["endpoint_url"], bucket, allow_http=options.allow_http)
    host = urlsplit(endpoint_url).hostname or ""
    if problem := bucket_problem(host, bucket.reveal()):
        raise ConfigError(f"R2_BUCKET: not the name of a bucket: {problem}")
    problem = virtual_problem(host, bucket.reveal())
    if problem and options.addressing is Addressing.VIRTUAL:
        raise ConfigError(f"addressing: virtual is not possible: {problem}")
    if not _REGION.fullmatch(found.get("region", Secret("auto")).reveal()):
        raise ConfigError("R2_REGION: not a valid region name (letters, digits, '-'), such as auto")
    return Settings(
        found.get("access_key_id", _UNSET).reveal(),
        found.get("secret_access_key", _UNSET),
        endpoint_url,
        bucket.reveal(),
        found.get("session_token", _UNSET),
        found.get("region", _UNSET).reveal() or region_of(endpoint_url) or "auto",
        options.addressing,
        options.request_payer,
    )


def _parse_options(values: Mapping[str, Secret], given: Mapping[str, object]) -> Options:
    found: dict[str, object] = {}
    for option in fields(Options):
        text = values.get(f"ASYNCSYNC_{option.name.upper()}", _UNSET).strip()
        if given.get(option.name) is not None:
            found[option.name] = given[option.name]
        elif text:
            try:
                found[option.name] = parse_option(option.name, text.reveal())
            except ValueError as error:
                raise ConfigError(f"ASYNCSYNC_{option.name.upper()}: {error}") from None
    return Options(**found)  # type: ignore[arg-type]  # each value has the type of its field

"""Where the settings of a run are from, and what lets others read secrets."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncsync.keys import shown
from asyncsync.model import Settings
from asyncsync.secret import Environment, Secret
from asyncsync.settings.endpoint import is_unencrypted
from asyncsync.settings.envfile import EnvFile, read_env_file
from asyncsync.settings.sources import (
    ARGUMENTS,
    KNOWN,
    OPTIONS,
    chosen_settings,
    open_aws,
    place_of,
    set_variables,
    uses_aws,
)

_CREDENTIALS = ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_SESSION_TOKEN")
_LIKE_SETTING = re.compile(r"(R2|ASYNCSYNC)_[A-Z0-9_]*", re.ASCII)
"""No more than a name: a secret may be in what stands before a `=` by mistake."""
_NEAR = 0.9
"""How much of two names is alike if one was likely meant by the other: all but a letter or two."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where settings come from, by the names of their variables; without their values."""

    places: dict[str, str]
    """For each variable that is set: an option, `[source] of asyncsync.toml`, `the environment`, or
    the env file."""
    hidden: list[str]
    """Variables that the env file sets, but that are empty in the environment, which wins."""
    unknown: list[str]
    """Variables whose names begin like those of settings, but that are no settings."""
    unread: list[str]
    """Variables of AWS's in the env file of a run that reads AWS's settings, but not from there."""

    @property
    def mixture(self) -> str:
        """How credentials come from another place than the endpoint; empty if they do not.

        Then whoever wrote the one need not know of the other, and may be sent its credentials.
        """
        endpoint = self.places.get("R2_ENDPOINT_URL", "")
        apart = {name: self.places.get(name, endpoint) for name in _CREDENTIALS}
        named = [f"{name} from {place}" for name, place in apart.items() if place != endpoint]
        if not endpoint or endpoint.startswith(("--", "[")) or not named:
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
        ConfigError: the env file cannot be read, or a file of AWS's, where that is.
    """
    environ = environment = Environment(environ)
    file = read_env_file(env_file)
    in_file = file.values
    chosen = chosen_settings(given or {})
    has_aws = uses_aws(set_variables(file, environment), chosen)
    given = given or {}
    places = _aws_places(chosen, given) if has_aws else {}
    arguments = OPTIONS if has_aws else ARGUMENTS
    hidden: list[str] = []
    for name in KNOWN:
        if given.get(arguments.get(name, "")) is not None:
            places[name] = place_of(given, arguments[name])
        elif name == "R2_BUCKET" and "source" in chosen and not has_aws:
            places[name] = "the argument"
        elif environment.get(name, "").strip():
            places[name] = "the environment"
        elif name in in_file and in_file[name].strip():
            if name in environment:
                hidden.append(name)
            else:
                places[name] = str(file.path)
    unread = sorted(name for name in in_file if name.startswith("AWS_")) if has_aws else []
    return Origins(places, hidden, _unknown((*environment, *in_file)), unread)


def mistyped(file: EnvFile, environ: Environment) -> Iterator[str]:
    """Yield what to say of each variable that was likely meant for a setting, and is none.

    That is any `ASYNCSYNC_...` of the env file, and what is nearly the name of a setting. Others
    in the environment may be another program's, such as those that Kubernetes sets for a service.
    """
    for name in _unknown((*file.values, *environ)):
        from difflib import get_close_matches  # only mistakes wait for it

        near = get_close_matches(name, KNOWN, n=1, cutoff=_NEAR)
        place = f"in {file.path}" if name in file.values else "in the environment"
        if near:
            yield f"{name} {place} is no setting, and does nothing; did you mean {near[0]}?"
        elif name in file.values and name.startswith("ASYNCSYNC_"):
            yield f"{name} {place} is no setting, and does nothing; see .env.example"


def _unknown(names: Iterable[str]) -> list[str]:
    """Return those of the variables that begin like settings, and are none."""
    return sorted({*filter(_LIKE_SETTING.fullmatch, names)} - KNOWN.keys())


def _aws_places(chosen: Mapping[str, Secret], given: Mapping[str, object]) -> dict[str, str]:
    """Return where AWS's settings are, but for the credentials; no request is sent."""
    places = {name: place_of(given, name) for name in chosen if name != "source"}
    if "source" in chosen:
        places["bucket"] = "the argument"
    place = open_aws(chosen).place
    for name in ("profile", "endpoint_url", "region"):
        if name not in places and (own := getattr(place, name)):
            places[own.name] = own.place
    return places


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
        f"{settings.names.endpoint_url}: http:// sends all unencrypted: whoever is on the way can "
        "read it, and change it, and see a session token; use https:// if the server has it"
    )

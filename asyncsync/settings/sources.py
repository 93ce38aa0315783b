"""What is set where: in arguments, a named source, the environment, the env file, or by AWS."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from asyncsync.errors import ConfigError
from asyncsync.keys import shown
from asyncsync.secret import Environment, Secret
from asyncsync.settings.envfile import EnvFile
from asyncsync.settings.options import Options

if TYPE_CHECKING:
    from asyncsync.settings.aws import Aws

VARIABLES = {
    "access_key_id": "R2_ACCESS_KEY_ID",
    "secret_access_key": "R2_SECRET_ACCESS_KEY",
    "endpoint_url": "R2_ENDPOINT_URL",
    "bucket": "R2_BUCKET",
    "session_token": "R2_SESSION_TOKEN",
    "region": "R2_REGION",
}
OPTIONS = {f"ASYNCSYNC_{option.name.upper()}": option.name for option in fields(Options)}
PLACE = ("bucket", "endpoint_url", "region")
"""Settings that arguments can set, with or without variables of R2's."""
ARGUMENTS = OPTIONS | {VARIABLES[name]: name for name in PLACE}
"""The names of arguments, by those of the variables that they win over."""
KNOWN = dict.fromkeys((*VARIABLES.values(), *OPTIONS))
"""The names of all variables, in order."""
UNSET = Secret("")
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)


def chosen_settings(given: Mapping[str, object]) -> dict[str, Secret]:
    """Return the settings that arguments set."""
    chosen = {}
    for name in (*PLACE, "profile"):
        value = given.get(name)
        if value is None:
            continue
        chosen[name] = (value if isinstance(value, Secret) else Secret(str(value))).strip()
        if not chosen[name]:
            raise ConfigError(f"{option_name(name)}: is empty; give a value, or leave it out")
    if source := str(given.get("source") or ""):
        if chosen.get("bucket", Secret(source)) != Secret(source):
            name = argument_name(given, "bucket")
            raise ConfigError(f"{name}: another than in s3://{shown(source)}; name it once")
        chosen["bucket"] = chosen["source"] = Secret(source)
    return chosen


def option_name(name: str, value: object = None) -> str:
    """Return the option that sets an argument to a value."""
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def argument_name(given: Mapping[str, object], name: str) -> str:
    """Return what messages call an argument: as an option, or as one of a source with a name."""
    return f"the source's {name}" if name in _places(given) else option_name(name)


def place_of(given: Mapping[str, object], name: str) -> str:
    """Return what sets an argument: an option, or a source with a name."""
    places = _places(given)
    return str(places[name]) if name in places else option_name(name, given.get(name))


def _places(given: Mapping[str, object]) -> Mapping[str, object]:
    """Return which source has set each argument that a source has set."""
    places = given.get("places")
    return places if isinstance(places, Mapping) else {}


def set_variables(file: EnvFile, environ: Environment) -> dict[str, Secret]:
    """Return what the variables are set to; the environment wins over the env file."""
    in_file = {name: file.values[name] for name in KNOWN if name in file.values}
    return in_file | {name: Secret(environ[name]) for name in KNOWN if name in environ}


def refuse_quotes(name: str, value: Secret) -> None:
    """Refuse a value in quotes, which would be a part of it."""
    if _QUOTED.fullmatch(value.strip().reveal()):
        raise ConfigError(
            f"{name}: there are quotes around its value; remove them (`docker run --env-file` "
            "keeps them, as other programs do that read such a file)"
        )


def argument_names(given: Mapping[str, object], chosen: Mapping[str, Secret]) -> dict[str, str]:
    """Return what messages call the arguments that say where the bucket is."""
    names = {name: argument_name(given, name) for name in PLACE}
    source = chosen.get("source", UNSET).reveal()
    return names | ({"bucket": f"s3://{shown(source)}"} if source else {})


def uses_aws(values: Mapping[str, Secret], chosen: Mapping[str, Secret]) -> bool:
    """Return whether the settings are AWS's: none of R2's is there, and AWS's are asked for."""
    has_own = any(values.get(name, UNSET).strip() for name in VARIABLES.values())
    if has_own and "profile" in chosen:
        raise ConfigError(
            "--profile: R2_... variables are set; unset them, or do without --profile: a run with "
            "them reads nothing of AWS's settings"
        )
    return not has_own and bool(chosen.keys() & {"bucket", "profile"})


def open_aws(chosen: Mapping[str, Secret]) -> "Aws":
    """Return AWS's settings; no request is sent."""
    from asyncsync.settings.aws import Aws  # imports botocore, which takes 0.2 s

    return Aws(chosen["profile"].reveal() if "profile" in chosen else None)

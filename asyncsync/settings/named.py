"""Named sources: sections of `asyncsync.toml`, each with where from, where to, and how.

    [sensors]
    bucket = "sensor-data"
    prefixes = ["1hz/"]
    dest = "/srv/sensors"

The file is the one in the current folder or, without one, that in `$XDG_CONFIG_HOME` or
`~/.config`. It is read only where a source is asked for by its name. It holds no secrets, but
decides where credentials are sent and which files are replaced: so one that another user could
have written or put there is refused before anything is read from it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from asyncsync.errors import ConfigError
from asyncsync.keys import escaped, shown
from asyncsync.others import PlantedError, can_write, open_file
from asyncsync.settings.options import Options
from asyncsync.settings.sources import PLACE

ALL = "all"
"""The name that stands for all sources of the file."""
_FILE = "asyncsync.toml"
_MOST = 1 << 20
"""Bytes of the file."""
_OPTIONS = {option.name for option in fields(Options)}
_SWITCHES = {option.name for option in fields(Options) if isinstance(option.default, bool)}
_REMOTE = (*PLACE, "profile")
_PATHS = ("dest", "env_file", "backup_dir")
_LISTS = ("prefixes", "include", "exclude")
_KEYS = (*_REMOTE, *_PATHS, "prefixes", *sorted(_OPTIONS - {*_PATHS}))
"""All that a source can set."""
_SECRET = re.compile(r"secret|token|passw|credential|access_key|key_id", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A named source; without a place, the one of a run that names none, which sets nothing."""

    place: str = ""
    """What messages call it."""
    values: Mapping[str, object] = field(default_factory=dict)
    """The options that it sets, and its place, as `load` takes them."""
    prefixes: tuple[str, ...] = ()
    env_file: Path | None = None

    def under(self, given: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments, and what the source sets where they set nothing."""
        arguments = {name: value for name, value in given.items() if value is not None}
        places = dict.fromkeys(self.values.keys() - arguments.keys(), self.place)
        return {**self.values, **arguments, "places": places}

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Name the source in errors of its settings."""
        try:
            yield
        except ConfigError as error:
            if not self.place:
                raise
            raise ConfigError(f"{self.place}: {error}") from None


def named_sources(names: Sequence[str]) -> dict[str, Named]:
    """Return the sources of these names, or all of the file in their order, by name.

    Raises:
        ConfigError: there is no such source, or anything in the file makes no sense.
    """
    path, is_here = _find()
    sections = _read(path)
    found = {name: _named(path, is_here, name, section) for name, section in sections.items()}
    if not found:
        raise ConfigError(f"{escaped(str(path))}: has no section; write [NAME] above the settings")
    for name in names:
        if name not in found and name != ALL:
            called = escaped(str(path))
            raise ConfigError(f"no source [{shown(name)}] in {called}{_has(found, name)}")
    return found if ALL in names else {name: found[name] for name in names}


def named_source(name: str) -> Named:
    """Return the source of this name.

    Raises:
        ConfigError: as for `named_sources`, or the name is that of all sources.
    """
    if name == ALL:
        raise ConfigError(f"named: {ALL} is every source, and a call is for one; call for each")
    return named_sources([name])[name]


def _find() -> tuple[Path, bool]:
    """Return the file, and whether it is in the current folder."""
    here = Path(_FILE)
    if os.path.lexists(here):
        return here, True
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(folder if os.path.isabs(folder) else os.path.expanduser("~/.config"), _FILE)
    if not os.path.lexists(home):
        raise ConfigError(
            f"no {_FILE} in this folder, and no {escaped(str(home))}; create one of them, with a "
            "section [NAME] for each source"
        )
    return home, False


def _read(path: Path) -> dict[str, Any]:
    """Return the sections of the file, not yet checked."""
    called = escaped(str(path))
    try:
        with os.fdopen(open_file(str(path), os.O_RDONLY, folders=True), "rb") as opened:
            data = None if can_write(opened.fileno()) else opened.read(_MOST + 1)
    except PlantedError as error:
        raise ConfigError(f"{called}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{called}: cannot be read: {error.strerror}") from None
    if data is None:
        raise ConfigError(f"{called}: other users can write it; run chmod 600 {called}")
    if len(data) > _MOST:
        raise ConfigError(f"{called}: is larger than 1 MiB")
    import tomllib  # only named sources wait for it

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        problem = "is not text in UTF-8"
    except RecursionError:
        problem = "is nested too deep"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not valid TOML: {escaped(str(error))}"
    raise ConfigError(f"{called}: {problem}")  # not in the handler: that error may hold all of it


def _named(path: Path, is_here: bool, name: str, section: object) -> Named:
    """Return a section as a source."""
    called = escaped(str(path))
    if not isinstance(section, dict):
        _refuse_secret(f"{called}: {shown(name)}", name)
        raise ConfigError(f"{called}: {shown(name)}: is in no section; write [NAME] above it")
    place = f"[{shown(name)}] of {called}"
    if name == ALL:
        raise ConfigError(f"{place}: {ALL} stands for all sources; choose another name")
    for key, value in section.items():
        _check(f"{place}: {shown(key)}", key, value)
    section = dict(section)
    for key in section.keys() & set(_PATHS):
        section[key] = Path(os.path.expanduser(section[key]))
        if not (is_here or section[key].is_absolute()):  # which folder is current, says nobody
            raise ConfigError(f"{place}: {key}: begins in no folder; write it from / or ~")
    try:
        Options(**{key: section[key] for key in section.keys() & _OPTIONS})
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    env_file, prefixes = section.pop("env_file", None), section.pop("prefixes", [])
    return Named(place, section, _texts(prefixes), env_file)


def _texts(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as TOML has it
    return tuple(value) if isinstance(value, list) else (value,)


def _check(called: str, key: str, value: object) -> None:
    """Check that a source may set this, and the type of its value."""
    if key not in _KEYS:
        _refuse_secret(called, key)
        raise ConfigError(f"{called}: no such setting{_similar(key)}")
    if key in _LISTS:
        if not all(isinstance(text, str) for text in _texts(value)):
            raise ConfigError(f'{called}: is no list of texts, as ["a", "b"]')
    elif key in _SWITCHES:
        if not isinstance(value, bool):
            raise ConfigError(f"{called}: is neither true nor false")
    elif key in (*_REMOTE, *_PATHS):
        if not (isinstance(value, str) and value.strip()):
            raise ConfigError(f"{called}: is no text in quotes")
    elif isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{called}: is neither text in quotes nor a number")


def _refuse_secret(called: str, key: str) -> None:
    if _SECRET.search(key):
        raise ConfigError(
            f"{called}: no secrets here; put it into the environment or an env file (the source "
            "may name one: env_file), or name a profile"
        )


def _similar(key: str) -> str:
    from difflib import get_close_matches  # only mistakes wait for it

    found = get_close_matches(key.replace("-", "_"), _KEYS, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _has(found: Mapping[str, Named], name: str) -> str:
    """Return what to take instead of a name that is not there."""
    from difflib import get_close_matches

    if similar := get_close_matches(name, list(found), n=1):
        return f"; did you mean {shown(similar[0])}?"
    return f"; it has {', '.join(map(shown, found))}"

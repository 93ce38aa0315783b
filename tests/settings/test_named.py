"""Named sources: what `asyncsync.toml` may say, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsync.errors import ConfigError
from asyncsync.settings import Options, load, named_source, named_sources, origins
from tests.rigs.environment import REQUIRED
from tests.rigs.users import OTHER, needs_root

FILE = Path("asyncsync.toml")


def options_of(name: str, environ: dict[str, str] | None = None, **given: object) -> Options:
    """Return the options of a run of a named source."""
    return load(environ={**REQUIRED, **(environ or {})}, given=named_source(name).under(given))[1]


def refused(text: str) -> str:
    """Return why a file is refused."""
    FILE.write_text(text)
    with pytest.raises(ConfigError) as caught:
        named_sources(["all"])
    return str(caught.value)


def test_source_sets_options_and_its_place() -> None:
    """Values have the types of TOML, or are written as on the command line."""
    FILE.write_text(
        """
        [sensors]
        bucket = "sensor-data"
        region = "auto"
        prefixes = ["1hz/", "fft/"]
        dest = "~/data"
        env_file = "other.env"
        include = ["*.parquet", "*.json"]
        exclude = "*/raw/*"
        workers = 16
        limit_rate = "20M"
        max_duration = "2h"
        durable = true
        """
    )
    source = named_source("sensors")
    assert source.prefixes == ("1hz/", "fft/")
    assert source.env_file == Path("other.env")
    settings, options = load(environ=REQUIRED, given=source.under({}))
    assert settings.bucket == "sensor-data"
    assert options == Options(
        dest=Path.home() / "data",
        include=("*.parquet", "*.json"),
        exclude=("*/raw/*",),
        workers=16,
        limit_rate=20 << 20,
        max_duration=7200,
        durable=True,
    )


def test_argument_wins_over_the_source_and_that_over_the_environment() -> None:
    """The source was asked for by its name; a variable is there whatever is asked for."""
    FILE.write_text('[sensors]\nattempts = 2\nworkers = "auto"\n')
    environ = {"ASYNCSYNC_ATTEMPTS": "3", "ASYNCSYNC_WORKERS": "3", "ASYNCSYNC_READ_TIMEOUT": "9"}
    found = options_of("sensors", environ)
    assert (found.attempts, found.workers, found.read_timeout) == (2, None, 9)
    assert options_of("sensors", environ, attempts=1).attempts == 1


def test_all_is_every_source_in_the_order_of_the_file() -> None:
    """Some are those that are named, each once, in the order in which they are."""
    FILE.write_text('[b]\ndest = "b"\n[a]\ndest = "a"\n[c]\n')
    assert list(named_sources(["all"])) == ["b", "a", "c"]
    assert list(named_sources(["c", "b", "c"])) == ["c", "b"]


def test_doctor_says_what_comes_from_the_source() -> None:
    """Beside what is from an argument, or the environment."""
    FILE.write_text('[sensors]\nbucket = "sensor-data"\nattempts = 2\nworkers = 3\n')
    places = origins(environ=REQUIRED, given=named_source("sensors").under({"workers": 4})).places
    assert places["R2_BUCKET"] == places["ASYNCSYNC_ATTEMPTS"] == "[sensors] of asyncsync.toml"
    assert places["ASYNCSYNC_WORKERS"] == "--workers"
    assert places["R2_ENDPOINT_URL"] == "the environment"


@pytest.mark.parametrize("variable", [None, "/nowhere", "relative"])
def test_file_of_the_home_folder_is_read_where_there_is_none_here(
    variable: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is in `$XDG_CONFIG_HOME`, or in `~/.config`."""
    folder = Path.home() / ".config"
    if variable == "/nowhere":
        folder = tmp_path / "elsewhere"
        variable = str(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", variable or "")
    folder.mkdir()
    (folder / "asyncsync.toml").write_text('[home]\ndest = "/srv/home"\n')
    assert list(named_sources(["all"])) == ["home"]
    FILE.write_text("[here]\n")
    assert list(named_sources(["all"])) == ["here"]


def test_paths_in_the_file_of_the_home_folder_begin_somewhere() -> None:
    """They would depend on the folder that happens to be the current one."""
    home = Path.home() / ".config"
    home.mkdir()
    (home / "asyncsync.toml").write_text('[sensors]\ndest = "data"\n')
    with pytest.raises(ConfigError, match=r"dest: begins in no folder; write it from / or ~"):
        named_sources(["sensors"])


def test_name_that_is_not_there_brings_the_nearest() -> None:
    """Or all names; without a file, where one is looked for."""
    with pytest.raises(ConfigError, match=r"no asyncsync.toml in this folder, and no /.*create"):
        named_sources(["sensors"])
    FILE.write_text("[sensors]\n[lab]\n")
    with pytest.raises(ConfigError, match=r"no source \[sensor\] in .*; did you mean sensors\?"):
        named_sources(["sensor"])
    with pytest.raises(ConfigError, match=r"no source \[x\] in .*; it has sensors, lab$"):
        named_sources(["lab", "x"])
    with pytest.raises(ConfigError, match="named: all is every source"):
        named_source("all")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no section; write [NAME] above the settings"),
        ('bucket = "x"', "bucket: is in no section; write [NAME] above it"),
        ("[all]", "[all] of asyncsync.toml: all stands for all sources; choose another name"),
        ('[a]\nbukket = "x"', "bukket: no such setting; did you mean bucket?"),
        ('[a]\nlimit-rate = "1M"', "limit-rate: no such setting; did you mean limit_rate?"),
        ("[a]\nxyzzy = 1", "[a] of asyncsync.toml: xyzzy: no such setting"),
        ("[a]\nworkers = true", "workers: is neither text in quotes nor a number"),
        ("[a]\nworkers = 2.5", "[a] of asyncsync.toml: workers: 2.5 is not a whole number"),
        ('[a]\ndurable = "yes"', "durable: is neither true nor false"),
        ('[a]\nvalidate = "x"', "validate: 'x' is not one of content, head, response"),
        ("[a]\nbucket = 1", "bucket: is no text in quotes"),
        ('[a]\nbucket = " "', "bucket: is no text in quotes"),
        ("[a]\ndest = 1", "dest: is no text in quotes"),
        ('[a]\ndest = "/"', "dest: the root of a file system is not a valid destination"),
        ("[a]\ninclude = [1]", 'include: is no list of texts, as ["a", "b"]'),
        ("[a]\nprefixes = { a = 1 }", 'prefixes: is no list of texts, as ["a", "b"]'),
        ("[a.b]", "b: no such setting"),
        ("[a]\nattempts = 2024-01-01", "attempts: is neither text in quotes nor a number"),
        ("[a", "is not valid TOML: "),
        ("a = " + "[" * 9000, "is nested too deep"),
        ("[a]\n#" + "x" * (1 << 20), "is larger than 1 MiB"),
        ('["a\\u001b[0m"]\nx = 1', "x: no such setting"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, why: str) -> None:
    """The message says where, what, and what to do; all of the file is checked."""
    said = refused(text)
    assert why in said
    assert "asyncsync.toml" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "key",
    ["secret_access_key", "R2_SECRET_ACCESS_KEY", "access_key_id", "session_token", "password"],
)
@pytest.mark.parametrize("section", ["", "[sensors]\n"])
def test_secrets_have_no_place_in_the_file(section: str, key: str) -> None:
    """The message says where they belong, and does not show the value."""
    said = refused(f'{section}{key} = "hunter2"')
    assert f"{key}: no secrets here; put it into the environment or an env file" in said
    assert "hunter2" not in said


def test_file_that_is_no_text_is_refused() -> None:
    """Nothing of it is shown."""
    FILE.write_bytes(b'[a]\nx = "hunter2\xff"')
    with pytest.raises(ConfigError, match=r"^asyncsync.toml: is not text in UTF-8$"):
        named_sources(["a"])


@pytest.mark.row(154)
@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_file_that_others_can_write_is_refused(mode: int) -> None:
    """It decides where credentials are sent."""
    FILE.write_text("[a]\n")
    FILE.chmod(mode)
    if mode == 0o620:
        os.chown(FILE, -1, 1) if os.geteuid() == 0 else pytest.skip("needs another group")
    with pytest.raises(ConfigError, match="other users can write it; run chmod 600"):
        named_sources(["a"])


def _given_away() -> None:
    os.chown(FILE, OTHER, -1)


def _in_a_folder_of_all() -> None:
    Path().chmod(0o777)


@needs_root
@pytest.mark.row(154)
@pytest.mark.parametrize("plant", [_given_away, _in_a_folder_of_all])
def test_file_that_another_user_could_have_put_there_is_refused(plant: Callable[[], None]) -> None:
    """Or replaced, by a file of this user's that means something else."""
    FILE.write_text("[a]\n")
    plant()
    with pytest.raises(ConfigError, match=r"asyncsync.toml: (belongs to another|others can repl)"):
        named_sources(["a"])


@pytest.mark.parametrize("word", ["auto", "whenever"])
def test_since_of_a_source_is_a_moment(word: str) -> None:
    """Its words of before are not taken up in a file that is new: `incremental` has a key."""
    said = refused(f'[a]\nsince = "{word}"\n')
    assert said.startswith(f"[a] of asyncsync.toml: since: {word!r} is neither off, an age")
    FILE.write_text('[a]\nsince = "off"\n')
    assert options_of("a").since is None


def test_folder_for_backups_is_a_path_like_the_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file of the home folder, it begins at / or ~; and a number is none."""
    assert "backup_dir: is no text in quotes" in refused("[a]\nbackup_dir = 5\n")
    FILE.unlink()
    home = tmp_path / "config"
    home.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    home.joinpath(FILE).write_text('[a]\nbackup_dir = "old"\n')
    with pytest.raises(ConfigError, match="backup_dir: begins in no folder; write it from / or ~"):
        named_sources(["a"])

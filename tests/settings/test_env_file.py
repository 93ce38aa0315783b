"""An env file that another user could have written, or put there, is refused unread."""

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsync.errors import ConfigError
from asyncsync.settings import envfile, load, origins
from tests.rigs.environment import REQUIRED, SECRET
from tests.rigs.users import OTHER, VICTIM, acting_as, needs_root

PLANTED = f"R2_ENDPOINT_URL=https://attacker.example\nR2_SECRET_ACCESS_KEY={SECRET}\n"


def write(path: str, mode: int = 0o600) -> None:
    """Write an env file of this user."""
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(PLANTED)
    Path(path).chmod(mode)


def file_of_another() -> None:
    write(".env")
    os.chown(".env", OTHER, 0)


def file_of_another_in_a_sticky_folder() -> None:
    file_of_another()
    Path().chmod(0o1777)


def file_for_the_group() -> None:
    write(".env", 0o620)
    os.chown(".env", 0, OTHER)


def file_for_all() -> None:
    write(".env", 0o602)


def link_of_another() -> None:
    write("own/prod.env")
    Path(".env").symlink_to("own/prod.env")
    os.lchown(".env", OTHER, 0)


def own_link_to_a_link_of_another() -> None:
    write("own/prod.env")
    Path("other").symlink_to("own")
    os.lchown("other", OTHER, 0)
    Path(".env").symlink_to("other/prod.env")


def own_link_to_a_file_of_another() -> None:
    write("prod.env")
    os.chown("prod.env", OTHER, 0)
    Path(".env").symlink_to(Path("prod.env").absolute())


def own_link_into_a_folder_of_another() -> None:
    write("other/prod.env")
    os.chown("other", OTHER, 0)
    Path(".env").symlink_to("other/../other/prod.env")


def folder_of_another() -> None:
    write(".env")
    os.chown(".", OTHER, 0)


def sticky_folder_of_another() -> None:
    folder_of_another()
    Path().chmod(0o1755)


def folder_for_the_group() -> None:
    write(".env")
    os.chown(".", 0, OTHER)
    Path().chmod(0o2775)


def folder_for_all() -> None:
    write(".env")
    Path().chmod(0o777)


def hard_link_in_a_sticky_folder() -> None:
    write("own/prod.env")
    os.link("own/prod.env", ".env")
    Path().chmod(0o1777)


@needs_root
@pytest.mark.row(154)
@pytest.mark.parametrize(
    ("plant", "why"),
    [
        (file_of_another, f"belongs to another user .uid {OTHER}"),
        (file_of_another_in_a_sticky_folder, "belongs to another user"),
        (file_for_the_group, r"other users can write it .chmod 600 \.env"),
        (file_for_all, "other users can write it"),
        (link_of_another, "link '.env' on the way belongs to another user"),
        (own_link_to_a_link_of_another, "link 'other' on the way belongs to another user"),
        (own_link_to_a_file_of_another, "belongs to another user"),
        (own_link_into_a_folder_of_another, "its folder belongs to another user"),
        (folder_of_another, "replace '.env' on the way: its folder belongs to another user"),
        (sticky_folder_of_another, "its folder belongs to another user"),
        (folder_for_the_group, "replace '.env' on the way: they can write its folder"),
        (folder_for_all, "they can write its folder"),
        (hard_link_in_a_sticky_folder, "has more than one name"),
    ],
)
@pytest.mark.parametrize("named", [None, Path(".env")], ids=["default", "named"])
def test_env_file_that_others_can_change_is_refused_unread(
    plant: Callable[[], None], why: str, named: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error without `--strict` too, names the way out, and nothing of it is used."""
    plant()
    monkeypatch.setattr(envfile, "_parse", lambda data: pytest.fail("it was read"))
    for read in (load, origins):
        with pytest.raises(ConfigError, match=why) as caught:
            read(named, REQUIRED)
        assert "a file of your own, in a folder of your own, with --env-file" in str(caught.value)
        assert caught.value.exit_code == 2


@needs_root
@pytest.mark.row(154)
def test_env_file_planted_in_a_shared_folder_gets_no_credentials() -> None:
    """Two users, one folder: the token of the one does not go to the endpoint of the other."""
    Path().chmod(0o1777)
    with acting_as(OTHER):
        write(".env")
    environ = {**REQUIRED, "R2_SESSION_TOKEN": "the-token"}
    del environ["R2_ENDPOINT_URL"]
    with acting_as(VICTIM), pytest.raises(ConfigError, match="belongs to another user"):
        load(environ=environ)


def own() -> None:
    write(".env")


def own_in_a_sticky_folder_of_root() -> None:
    write(".env")
    with acting_as(0):
        os.chown(".", 0, 0)
        Path().chmod(0o1777)


def file_and_link_of_root() -> None:
    with acting_as(0):
        write("etc/prod.env", 0o644)
        Path(".env").symlink_to("etc/prod.env")


def own_link() -> None:
    write("own/prod.env")
    Path(".env").symlink_to("own/../own/prod.env")


def hard_link_in_an_own_folder() -> None:
    write("prod.env")
    os.link("prod.env", ".env")


@needs_root
@pytest.mark.row(154)
@pytest.mark.parametrize(
    "make",
    [
        own,
        own_in_a_sticky_folder_of_root,
        file_and_link_of_root,
        own_link,
        hard_link_in_an_own_folder,
    ],
)
def test_env_file_of_ones_own_or_of_root_is_read(make: Callable[[], None]) -> None:
    """Root can change everything anyway, and so links and folders of root's are no danger."""
    os.chown(".", VICTIM, VICTIM)
    with acting_as(VICTIM):
        make()
        found, _ = load(
            environ={name: REQUIRED[name] for name in ("R2_ACCESS_KEY_ID", "R2_BUCKET")}
        )
    assert found.endpoint_url == "https://attacker.example"


@pytest.mark.row(154)
@pytest.mark.parametrize(
    ("group", "members", "others", "has_list", "is_read"),
    [
        ("me", [], {}, False, True),
        ("me", ["me"], {"mallory": 1}, False, True),
        ("me", ["mallory"], {}, False, False),
        ("me", [], {"mallory": 0}, False, False),
        ("me", [], {}, True, False),
        ("users", ["me"], {}, False, False),
    ],
)
def test_group_that_only_this_user_is_in_is_nobody_else(
    group: str,
    members: list[str],
    others: dict[str, int],
    has_list: bool,
    is_read: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many systems make one for each user, who lets it write; an ACL may let others, though."""
    write(".env", 0o660)
    Path().chmod(0o770)
    gid = os.stat(".env").st_gid
    users = [
        pwd.struct_passwd((name, "x", 1, gid + away, "", "/", "/bin/sh"))
        for name, away in {"me": 0, **others}.items()
    ]
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: users[0])
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((group, "x", gid, members)))
    if has_list:
        monkeypatch.setattr(os, "getxattr", lambda path, name: b"", raising=False)
    if is_read:
        assert load(environ=REQUIRED)[0].bucket == "sensor-data"
    else:
        with pytest.raises(ConfigError, match="they can write its folder"):
            load(environ=REQUIRED)


@needs_root
@pytest.mark.row(154)
def test_credentials_are_read_again_from_the_same_kind_of_file_only() -> None:
    """What is put in its place during a run is refused, as at its start."""
    write(".env")
    found, _ = load(environ=REQUIRED)
    assert found.reload is not None
    assert found.reload().bucket == "sensor-data"
    os.chown(".env", OTHER, 0)
    with pytest.raises(ConfigError, match="belongs to another user"):
        found.reload()


def test_env_file_is_bounded() -> None:
    """One of more than a mebibyte is a mistake, and a sparse one could fill the memory."""
    write(".env")
    os.truncate(".env", 1 << 40)
    with pytest.raises(ConfigError, match=r"\.env: is no text in UTF-8 of at most 1 MiB"):
        load(environ=REQUIRED)


def test_links_that_lead_nowhere_end() -> None:
    """A loop of links, and an endless way, are no env file."""
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    assert load(environ=REQUIRED)[0].bucket == "sensor-data"
    with pytest.raises(ConfigError, match="no such file"):
        load(Path("a"), REQUIRED)

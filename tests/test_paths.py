"""Paths: which keys are their own, what becomes of the others, and the way back."""

import os
import subprocess
import sys
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from asyncsync.errors import UnsafeKeyError
from asyncsync.keys import STATE_DIR, is_state_name, is_too_long
from asyncsync.paths import PLAIN, Paths, is_encoded

ANYTHING = st.text(st.characters(exclude_categories=()))
HOSTILE = st.one_of(
    ANYTHING,
    st.text("./\\~:\0a C\u202e\ud800\udcff"),
    st.text("%~+/25a.\0"),
    st.lists(
        st.sampled_from(
            [
                *(
                    "",
                    ".",
                    "..",
                    "a",
                    " ",
                    "CON",
                    "C:",
                    "\0",
                    STATE_DIR,
                    "%~",
                    "%+",
                    "%25",
                    "%~%25~",
                ),
                *("n" * 253, "n" * 300, "é" * 130, "%~" + "n" * 249, ". " * 200),
            ]
        )
    ).map("/".join),
)
POSIX = Paths(windows=False)
ENCODES = Paths(encodes=True, windows=False)
ENCODES_ON_WINDOWS = Paths(encodes=True, windows=True)

# keys that are their own paths ------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "a.parquet",
        "1hz/2026/01/a.parquet",
        "a\\b",
        "C:\\x",
        "C:x",
        "\\\\host\\share",
        "CON",
        "a.",
        " ",
        "line\nbreak\ttab",
        "\x1b[31mred",
        "\u202egpj.exe",
        "e\u0301",
        "\u00e9",
        "raw\udcff",
        "-rf",
        "~",
        "$HOME",
        "*",
        "%s{}",
        "%2e%2e/%7E",
        "a%~b",
        "...",
        "..a/a..",
        ".asyncsync2",
        "a" * 255,
        "é" * 127,
        "/".join("a" * 300),
    ],
)
def test_path_is_the_key(key: str) -> None:
    """Nothing is folded, cut or replaced: the components joined again are the key."""
    assert "/".join(POSIX.of(key)) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "./x",
        "../x",
        "a/../../x",
        "q/..",
        "a/./b",
        "/x",
        "//x",
        "a//b",
        "dir/",
        "nul\0byte",
        "a" * 256,
        "é" * 128,
        ".asyncsync",
        "a/.asyncsync",
        "a/.ASYNCSYNC/parts/x",
        ".asyncsync/lock",
        ".AsyncSync/lock",
        ".a\u017fync\u017fync/lock",
        "%~",
        "a/%~b",
        "%+a/%~b",
    ],
)
def test_key_without_a_safe_path_is_refused(key: str) -> None:
    """It would leave the folder, share a path with another key, or reach the state folder."""
    with pytest.raises(UnsafeKeyError) as caught:
        POSIX.of(key)
    assert caught.value.key == key


@pytest.mark.parametrize(
    "key",
    [
        "a\\b",
        "C:\\x",
        "C:x",
        "\\\\h\\s",
        "CON",
        "con.txt",
        "a/LPT1",
        "COM¹",
        "a.",
        "a ",
        "a*b",
        "\t",
    ],
)
def test_windows_refuses_what_it_would_read_differently(key: str) -> None:
    """Drives, devices, backslashes, and names whose last character Windows would drop."""
    with pytest.raises(UnsafeKeyError, match="Windows"):
        Paths(windows=True).of(key)


@pytest.mark.parametrize("key", ["CONSOLE", "com10", "a.b/c d", "é"])
def test_windows_keeps_plain_names(key: str) -> None:
    """A name that only resembles a device is accepted."""
    assert "/".join(Paths(windows=True).of(key)) == key


def test_name_that_the_system_cannot_encode_is_refused() -> None:
    """A key that cannot be encoded is an unsafe key and not a crash."""
    with pytest.raises(UnsafeKeyError, match="encoding"):
        Paths().of("\ud800")


@given(HOSTILE)
def test_path_never_leaves_the_destination(key: str) -> None:
    """Any key is refused, or its path is the key itself below the folder."""
    try:
        components = POSIX.of(key)
    except UnsafeKeyError:
        return
    assert "/".join(components) == key
    joined = os.path.join("/dest", *components)
    assert os.path.normpath(joined) == joined
    assert PurePosixPath(joined).parts == ("/", "dest", *components)
    assert components[0].lower() != STATE_DIR
    assert "\0" not in key


@given(HOSTILE)
def test_path_never_leaves_the_destination_on_windows(key: str) -> None:
    """By the rules of Windows too, each component is a name: no drive, no root, no `..`."""
    try:
        components = Paths(windows=True).of(key)
    except UnsafeKeyError:
        return
    path = PureWindowsPath("D:\\dest", *components)
    assert path.parts == ("D:\\", "dest", *components)


@given(HOSTILE, HOSTILE, st.booleans())
@example("p", "a", False)
@example("..", "a", False)
@example("é" * 600, "a", False)
def test_stripped_key_has_the_path_of_its_rest(folder: str, name: str, windows: bool) -> None:
    """Or none, if the rest has none or the whole key is too long; the error names the key."""
    stripped = f"{folder}/"
    key = stripped + name
    try:
        expected = Paths(windows=windows).of(name)
    except UnsafeKeyError:
        expected = ()
    if expected and not is_too_long(key):
        assert Paths(stripped, windows=windows).of(key) == expected
        return
    with pytest.raises(UnsafeKeyError) as caught:
        Paths(stripped, windows=windows).of(key)
    assert caught.value.key == key


# odd keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a//b", "a/%~/b"),
        ("/x", "%~/x"),
        ("//x", "%~/%~/x"),
        ("../x", "%~../x"),
        ("a/./b", "a/%~./b"),
        ("dir/", "dir/%~"),
        ("/", "%~/%~"),
        ("nul\0byte", "%~nul%00byte"),
        ("100%/\0%", "100%/%~%00%25"),
        (".asyncsync/lock", "%~.asyncsync/lock"),
        (".ASYNCSYNC-7", "%~.ASYNCSYNC-7"),
        ("%~", "%~%25~"),
        ("%~/b", "%~%25~/b"),
        ("%+b", "%~%25+b"),
        ("a" * 256, "%+" + "a" * 253 + "/%~aaa"),
        ("é" * 128 + "/b", "%+" + "é" * 126 + "/%~éé/b"),
        ("\0" * 100, "%+" + "%00" * 84 + "/%~" + "%00" * 16),
    ],
)
def test_odd_key_is_encoded_name_by_name(key: str, path: str) -> None:
    """What can stay as it is does so, and the way back leads to the key."""
    assert "/".join(ENCODES.of(key)) == path
    assert is_encoded(ENCODES.of(key))
    assert ENCODES.key_of(path) == PLAIN.key_of(path) == key


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("C:/x", "%~C%3A/x"),
        ("2026-01-01T10:00.parquet", "%~2026-01-01T10%3A00.parquet"),
        ("a./b ", "%~a%2E/%~b%20"),
        ("..", "%~.%2E"),
        ("CON.txt", "%~CON.txt"),
        ("x\\y", "%~x%5Cy"),
        ("a" * 252 + "." * 10, "%+" + "a" * 252 + "/%~" + "." * 9 + "%2E"),
    ],
)
def test_names_that_windows_refuses_are_encoded_there(key: str, path: str) -> None:
    """Each piece of a long one ends in what Windows keeps."""
    assert "/".join(ENCODES_ON_WINDOWS.of(key)) == path
    assert ENCODES_ON_WINDOWS.key_of(path) == key


@given(HOSTILE, st.sampled_from(["", "p/", "a//", "%~/"]), st.booleans())
@example("n" * 252 + "\0" * 200, "", False)
@example("dir/" * 200, "", True)
def test_every_key_has_a_safe_path_that_leads_back_to_it(
    rest: str, stripped: str, windows: bool
) -> None:
    """Unless it is too long, or has a character that none is: so no two keys share a path."""
    key = stripped + rest
    paths = Paths(stripped, encodes=True, windows=windows)
    try:
        names = paths.of(key)
    except UnsafeKeyError:
        no_text = any(0xD800 <= ord(char) < 0xDC80 or 0xDD00 <= ord(char) < 0xE000 for char in key)
        assert is_too_long(key) or no_text
        return
    assert paths.key_of(stripped + "/".join(names)) == key
    for name in names:
        assert name not in {"", ".", ".."}
        assert not is_state_name(name)
        assert not {"/", "\0"} & set(name)
        assert len(os.fsencode(name)) <= 255
    if windows:
        assert PureWindowsPath("D:\\dest", *names).parts == ("D:\\", "dest", *names)
        assert not any(name.endswith((".", " ")) for name in names)


@given(HOSTILE, st.booleans())
def test_key_that_is_its_own_path_keeps_it(key: str, windows: bool) -> None:
    """Whether odd keys are encoded or refused."""
    assume(Paths(windows=windows).has(key))
    names = Paths(windows=windows).of(key)
    assert "/".join(names) == key
    assert Paths(encodes=True, windows=windows).of(key) == names
    assert PLAIN.key_of(key) == key


@given(HOSTILE, HOSTILE)
@example("%~" + "n" * 250, "%~" + "n" * 251)
@example("n" * 256, "n" * 253)
@example("a", "a/")
@example("", "/")
def test_file_of_a_key_is_a_folder_only_for_keys_below_it(one: str, other: str) -> None:
    """What the keys show of collisions is all that there are."""
    assume(ENCODES.has(one) and ENCODES.has(other))
    path, longer = ENCODES.of(one), ENCODES.of(other)
    is_below = path == longer[: len(path)] and path != longer
    assert is_below == other.startswith(f"{one}/")


@given(HOSTILE)
@example("%~a")
@example("%+a/b")
@example("a/%+")
@example("%~%41")
@example("%~%00%0")
def test_path_that_no_key_has_is_its_own_name(path: str) -> None:
    """As that of a file from elsewhere."""
    assume(path.isprintable() and all(path.split("/")))
    key = ENCODES.key_of(path)
    assert key == path or "/".join(ENCODES.of(key)) == path


def test_refusal_names_the_option_that_helps() -> None:
    """Where one does: not for a key that is too long."""
    for key in ("a//b", "dir/", "n" * 256, "%~a"):
        with pytest.raises(UnsafeKeyError, match=r"; --odd-keys encode fetches it$"):
            POSIX.of(key)
    with pytest.raises(UnsafeKeyError, match=r"bytes$"):
        POSIX.of("n" * 2000)


def test_name_that_the_file_system_cannot_spell_is_encoded() -> None:
    """Its characters beyond ASCII are, in a locale without them, and what is no UTF-8 as well."""
    program = (
        "from asyncsync.paths import Paths\n"
        "for key in ('\\u65e5\\udcff%.parquet', '\\u65e5' * 100):\n"
        "    names = Paths(encodes=True).of('d/' + key)\n"
        "    assert Paths().key_of('/'.join(names)) == 'd/' + key\n"
        "    print('/'.join(names)[:40])\n"
    )
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | locale, capture_output=True, check=True
    )
    assert done.stdout.splitlines() == [
        b"d/%~%E6%97%A5%FF%25.parquet",
        b"d/%+%E6%97%A5%E6%97%A5%E6%97%A5%E6%97%A5",
    ]


@given(st.lists(st.one_of(HOSTILE, st.text("a/-._=", max_size=6))))
@example(["a\nb"])
@example(["a" * 255, "b/" * 500 + "c"])
@example(["a" * 256])
@example(["a/" * 512 + "c"])
@example(["a", ""])
@example([".a"])
def test_page_has_the_paths_of_its_keys_or_none(keys: list[str]) -> None:
    """A page with a single odd key is left to who looks at each."""
    for paths in (PLAIN, Paths(windows=True)):
        found = paths.of_page(keys)
        assert found is None or [*found] == ["/".join(paths.of(key)) for key in keys]


def test_paths_of_a_page_leave_out_what_is_stripped() -> None:
    """As the path of each key does."""
    assert Paths("1hz/", windows=False).of_page(["1hz/a.parquet", "1hz/b/c"]) == [
        "a.parquet",
        "b/c",
    ]

"""Credentials of AWS's settings: what they have to look like before any is sent."""

import pytest

from asyncsync.errors import ConfigError
from asyncsync.secret import Secret
from asyncsync.settings import load
from tests.rigs.provider import SECRET, TOKEN

GOOD = {
    "AWS_ACCESS_KEY_ID": "OFENV",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment, with credentials."""
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_white_space_around_them_is_removed(environ: pytest.MonkeyPatch) -> None:
    """As the end of a line, which secrets that are mounted or pasted often have."""
    for name, value in GOOD.items():
        environ.setenv(name, f"{value}\n")
    found = load(given={"bucket": "sensors"})[0]
    assert found.access_key_id == "OFENV"
    assert (found.secret_access_key, found.session_token) == (Secret(SECRET), Secret(TOKEN))


@pytest.mark.row(123)
@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("stray", ["\n", "\r", " ", "\u00e9"])
def test_stray_character_in_them_is_told_without_them(
    name: str, stray: str, environ: pytest.MonkeyPatch
) -> None:
    """No header could hold it, or the server would only say that the signature is wrong."""
    environ.setenv(name, f"the-secret{stray}key")
    with pytest.raises(ConfigError, match="characters other than visible ASCII") as caught:
        load(given={"bucket": "sensors"})
    assert "the-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_blank_ones_are_none(name: str, environ: pytest.MonkeyPatch) -> None:
    """Requests would not be signed with them, in silence."""
    environ.setenv(name, " ")
    with pytest.raises(ConfigError, match="no credentials; set R2_ACCESS_KEY_ID"):
        load(given={"bucket": "sensors"})


@pytest.mark.row(145)
@pytest.mark.parametrize("name", [*GOOD, "AWS_ENDPOINT_URL", "AWS_REGION"])
def test_quotes_around_a_value_are_named(name: str, environ: pytest.MonkeyPatch) -> None:
    """As around R2's; they would be a part of the value."""
    environ.setenv(name, '"quoted"')
    with pytest.raises(ConfigError, match=f"^{name}: there are quotes around its value"):
        load(given={"bucket": "sensors"})

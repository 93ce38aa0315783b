"""Reporters of crashes show the local variables of all frames: no secret is in those of any error.

The soak's G14 looks at the errors of the whole suite in the same way.
"""

import base64
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

import asyncsync
from asyncsync.errors import AsyncSyncError, AuthError, ConfigError
from asyncsync.http import HttpClient
from asyncsync.http.heads import encode_head
from asyncsync.model import Credentials, RemoteObject
from asyncsync.s3 import open_store
from asyncsync.s3.clock import Clock
from asyncsync.s3.sigv4 import Signer
from asyncsync.secret import Secret, SignedHeaders
from asyncsync.settings import load, origins
from tests.rigs.environment import ENDPOINT, REQUIRED
from tests.rigs.frames import locals_of
from tests.rigs.http_client import AUTHORITY, client_of, fetch
from tests.rigs.scripted import Peer, ScriptedServer, answers, response, silent
from tests.rigs.scripted_s3 import Answer, ScriptedS3

pytestmark = pytest.mark.anyio

SECRET, TOKEN, OTHER = "the-secret-key", "the-session-token", "of-another-program"
KEYS = [f"{number}.parquet" for number in range(5)]


def assert_hidden(error: BaseException, *secrets: str) -> None:
    """Check that no local variable of any frame shows one of the secrets."""
    shown = [(where, text) for where, text in locals_of(error) for s in secrets if s in text]
    assert not shown
    assert list(locals_of(error))


def test_secret_in_a_frame_is_found() -> None:
    """The search looks into frames outside of tests, into causes and contexts."""
    program = """
def deeper(key):
    headers = {"token": key}
    raise ValueError("no")

def outer(key):
    try:
        deeper(key)
    except ValueError:
        raise KeyError("either")
"""
    space: dict[str, Callable[[str], None]] = {}
    exec(compile(program, "elsewhere.py", "exec"), space)  # noqa: S102
    with pytest.raises(KeyError) as caught:
        space["outer"](SECRET)
    found = [where for where, text in locals_of(caught.value) if SECRET in text]
    assert found == [
        *("elsewhere.py:10, outer, key", "elsewhere.py:8, outer, key"),
        *("elsewhere.py:4, deeper, key", "elsewhere.py:4, deeper, headers"),
    ]


def test_secret_shows_itself_to_nobody() -> None:
    """It is compared and asked for like a text, and printed like none."""
    secret = Secret(SECRET)
    for text in (repr(secret), str(secret), f"{secret}", "%s" % secret, f"{[secret]}"):  # noqa: UP031
        assert SECRET not in text
    assert secret == Secret.of(SECRET) == Secret.of(secret)
    assert secret != SECRET
    assert len({secret, Secret(SECRET)}) == 1
    assert (bool(secret), bool(Secret("")), Secret(" a ").strip().reveal()) == (True, False, "a")
    assert "AWS4" not in repr(SignedHeaders(authorization="AWS4"))


@pytest.mark.row(162)
@pytest.mark.parametrize("place", ["given", "process", "file"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"R2_BUCKET": ""},
        {"R2_BUCKET": "Not A Bucket"},
        {"R2_BUCKET": f"{SECRET}/"},
        {"R2_REGION": f"{SECRET}/"},
        {"R2_SECRET_ACCESS_KEY": f"{SECRET}\u200b"},
        {"R2_SECRET_ACCESS_KEY": f"{SECRET} {SECRET}"},
        {"R2_SESSION_TOKEN": f"{TOKEN}\u00e9"},
        {"R2_ENDPOINT_URL": SECRET},
        {"R2_ENDPOINT_URL": f"https://me:{SECRET}@host"},
        {"R2_ENDPOINT_URL": f"https://host:{SECRET}"},
        {"R2_ENDPOINT_URL": f"https://a.r2.cloudflarestorage.com/{SECRET}"},
        {"R2_ENDPOINT_URL": f"{ENDPOINT}?key={SECRET}"},
        {"ASYNCSYNC_WORKERS": "many"},
        {"ASYNCSYNC_DEST": "/"},
    ],
    ids=lambda wrong: "=".join(*wrong.items()).encode("ascii", "replace").decode(),
)
def test_refused_settings_leave_no_secret(
    wrong: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the key and the token, nor anything else of the environment or of the file."""
    values = {
        **REQUIRED,
        "R2_SECRET_ACCESS_KEY": SECRET,
        "R2_SESSION_TOKEN": TOKEN,
        "API_KEY": OTHER,
        **wrong,
    }
    environ: dict[str, str] | None = values if place == "given" else None
    if place == "process":
        for name, value in values.items():
            monkeypatch.setenv(name, value)
    elif place == "file":
        Path(".env").touch(mode=0o600)
        lines = [f"{name}='{value}'" for name, value in values.items()]
        Path(".env").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(environ=environ)
    assert_hidden(caught.value, SECRET, TOKEN, OTHER)


@pytest.mark.row(162)
@pytest.mark.parametrize("data", [b"\xff", b"\0" * (1 << 20)], ids=["no text", "too long"])
def test_env_file_that_is_refused_leaves_nothing_of_it(data: bytes) -> None:
    """Also where it could not be understood."""
    Path(".env").touch(mode=0o600)
    Path(".env").write_bytes(f"R2_SECRET_ACCESS_KEY={SECRET}\n".encode() + data)
    for read in (load, origins):
        with pytest.raises(ConfigError) as caught:
            read(environ={**REQUIRED, "API_KEY": OTHER})
        assert_hidden(caught.value, SECRET, OTHER)


@pytest.mark.row(162)
def test_reloaded_settings_leave_no_secret() -> None:
    """The way to them goes on being known for the whole run."""
    Path(".env").touch(mode=0o600)
    found, _ = load(environ={**REQUIRED, "R2_SECRET_ACCESS_KEY": SECRET, "API_KEY": OTHER})
    Path(".env").write_bytes(b"\xff")
    assert found.reload is not None
    with pytest.raises(ConfigError) as caught:
        found.reload()
    assert_hidden(caught.value, SECRET, OTHER)


ANSWERS = [
    Answer(b"<Error><Code>InvalidAccessKeyId</Code></Error>", 403),
    Answer(b"<Error><Code>ExpiredToken</Code></Error>", 400),
    Answer(b"<Error><Code>RequestTimeTooSkewed</Code></Error>", 403),
    Answer(b"<Error><Code>NoSuchBucket</Code></Error>", 404),
    Answer(b"", 307, {"Location": "https://elsewhere.example/"}),
    Answer(b"<Error><Code>SlowDown</Code></Error>", 503),
    Answer(b"<html>", 200, {"Content-Range": "bytes 7-9/10"}),
    Answer(b"12345", 200, cut=3),
    Answer(b"12345", 206),
]


@pytest.mark.row(162)
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.status} {answer.body!r}")
@pytest.mark.parametrize("verb", ["LIST", "LIST again", "HEAD", "GET"])
async def test_refused_request_leaves_no_token_and_no_signature(
    verb: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the frames of aioboto3's client, which signs the pages of a long listing."""
    monkeypatch.setattr("asyncsync.s3.store.SHORT_LISTING", 1)
    async with ScriptedS3(dict.fromkeys(KEYS, b"12345"), page_size=2) as s3:
        s3.on_list = lambda request: answer if bool(request.token) == ("again" in verb) else None
        s3.on_object = lambda request: answer
        settings = replace(s3.settings, secret_access_key=SECRET, session_token=TOKEN)
        settings = replace(settings, reload=lambda: settings)
        with pytest.raises(AsyncSyncError) as caught:  # noqa: PT012 - the store is left by it
            async with open_store(settings, lambda message: None) as store:
                if "LIST" in verb:
                    token = (await store.list_page("")).next_token
                    await store.list_page("", token=token)
                elif verb == "HEAD":
                    await store.head(KEYS[0])
                    raise AuthError("some answers to GET are fine for HEAD")
                else:
                    remote = RemoteObject(KEYS[0], 5, "", 0)
                    async with store.get(remote, range(1, 3)) as body:
                        await body.read()
        sent = s3.requests[-1].headers["authorization"]
    assert "Signature=" in sent
    assert_hidden(caught.value, SECRET, TOKEN, sent.rpartition("=")[2])


@pytest.mark.row(162)
@pytest.mark.parametrize("reply", [b"", b"no HTTP at all\r\n\r\n"], ids=["lost", "malformed"])
@pytest.mark.parametrize("tls", [False, True])
async def test_unanswered_request_leaves_no_token_and_no_signature(reply: bytes, tls: bool) -> None:
    """The frames below have the request as it was sent."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(reply)
        peer.cut()

    credentials = Credentials("AKID", Secret(SECRET), Secret(TOKEN))
    async with (
        ScriptedServer(script, tls=AUTHORITY.server() if tls else None) as server,
        client_of(server) as client,
    ):
        headers = Signer(client.host, "auto", Clock(print).stamp).sign("GET", "/b/k", credentials)
        with pytest.raises(AsyncSyncError) as caught:
            async with client.request("GET", "/b/k", headers) as answer:
                await answer.read()
    assert TOKEN in server.heads[0]
    assert_hidden(caught.value, SECRET, TOKEN, headers["authorization"].rpartition("=")[2])


@pytest.mark.row(162)
async def test_failed_run_leaves_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the public function down to the connection."""
    async with ScriptedS3(dict.fromkeys(KEYS, b"12345")) as s3:
        s3.on_list = lambda request: ANSWERS[0]
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("R2_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("R2_SESSION_TOKEN", TOKEN)
        monkeypatch.setenv("API_KEY", OTHER)
        with pytest.raises(AuthError) as caught:
            await asyncsync.sync(dest=tmp_path / "dest")
    assert_hidden(caught.value, SECRET, TOKEN, OTHER, "Signature=")


@pytest.mark.row(162)
@pytest.mark.parametrize("line", ["a\nb", "a\rb", "\u00e9"])
def test_request_that_cannot_be_sent_leaves_no_token(line: str) -> None:
    """It is a bug, and is reported like one."""
    client = HttpClient("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="line break or is not ASCII") as caught:
        client.request("GET", "/", SignedHeaders({"x-amz-security-token": TOKEN, "etag": line}))
    assert_hidden(caught.value, TOKEN)
    with pytest.raises(ValueError, match="line break") as caught:
        encode_head("GET", "/", SignedHeaders({"x-amz-security-token": TOKEN, "etag": line}))
    assert_hidden(caught.value, TOKEN)


@pytest.mark.row(162)
@pytest.mark.parametrize("kind", ["https://{}@p:1", "http://{}@p:port", "socks5://{}@p", "//{}@p"])
def test_refused_proxy_leaves_no_password(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is about the settings, and no connection is opened."""
    monkeypatch.setenv("HTTPS_PROXY", kind.format(f"user:{SECRET}"))
    with pytest.raises(ConfigError) as caught:
        HttpClient(ENDPOINT)
    assert_hidden(caught.value, SECRET)


@pytest.mark.row(162)
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway", ""])
async def test_refusing_proxy_leaves_no_password(
    status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as it is written in the setting, nor as it is sent; also not if it never answers."""
    script = answers(response(b"no", status=status)) if status else silent
    async with ScriptedServer(script) as server:
        proxy = f"http://user:{quote(SECRET)}@127.0.0.1:{server.port}"
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        tls = AUTHORITY.client()
        async with HttpClient(ENDPOINT, ssl_context=tls, connect_timeout=1) as client:
            with pytest.raises(AsyncSyncError) as caught:
                await fetch(client)
    sent = base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert sent in server.heads[0]
    assert_hidden(caught.value, SECRET, sent, os.environ["HTTPS_PROXY"])

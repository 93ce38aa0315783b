"""Credentials that expire: renewed before that, and read again once they are refused."""

import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import anyio
import pytest

from asyncsync.concurrently import task_group
from asyncsync.errors import AuthError, CredentialsRenewedError
from asyncsync.model import Credentials, Settings
from asyncsync.s3 import credentials
from asyncsync.s3.store import S3Store, open_store
from asyncsync.secret import Secret, SignedHeaders
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3

pytestmark = pytest.mark.anyio

KEYS = [f"{number}.parquet" for number in range(5)]
EXPIRED = Answer(b"<Error><Code>ExpiredToken</Code></Error>", 400)


def named(name: str) -> Credentials:
    return Credentials(name, Secret("the-secret"), Secret("the-token"))


async def listed_as(store: S3Store, s3: ScriptedS3, name: str) -> None:
    """List until a request is signed with the credentials of this name."""
    with anyio.fail_after(20):
        while True:
            with suppress(CredentialsRenewedError):
                await store.list_page("")
            if f"Credential={name}/" in s3.requests[-1].headers["authorization"]:
                return


async def test_credentials_are_renewed_before_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread, with the next request of any kind; a look that fails is followed by others."""
    monkeypatch.setattr(credentials, "RENEWAL", 0.001)
    held = named("FIRST")
    looks: Counter[int] = Counter()

    def renew() -> Credentials:
        looks[threading.get_ident()] += 1
        if looks.total() == 2:
            raise AuthError("the provider is away")
        return held

    async with ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3:
        async with open_store(replace(s3.settings, renew=renew)) as store:
            await listed_as(store, s3, "FIRST")
            held = named("SECOND")
            await listed_as(store, s3, "SECOND")
            page = await store.list_page("")
            await store.list_page("", token=page.next_token)  # by aioboto3's client
            await store.head(KEYS[0])
        ended = looks.total()
        await anyio.sleep(0.01)
    assert looks.total() == ended >= 3
    assert threading.get_ident() not in looks
    for request in s3.requests[-2:]:
        assert "Credential=SECOND/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "the-token"


async def test_what_goes_wrong_beside_renewals_is_raised_as_it_is() -> None:
    """Not in a group of errors."""
    async with ScriptedS3() as s3:
        s3.on_list = lambda _: EXPIRED

        async def refused() -> None:
            async with open_store(replace(s3.settings, renew=lambda: named("NEW"))) as store:
                await store.list_page("")

        with pytest.raises(AuthError, match="ExpiredToken"):
            await refused()


@pytest.mark.row(29)
async def test_credentials_are_read_again_once_for_many_refused_requests() -> None:
    """In a thread; a provider is not asked by each of them."""
    reads: list[int] = []

    def expire(request: Request) -> Answer | None:
        return None if "Credential=NEW/" in request.headers["authorization"] else EXPIRED

    async with ScriptedS3(dict.fromkeys(KEYS, b"data")) as s3:
        s3.on_list = expire

        def reload() -> Settings:
            reads.append(threading.get_ident())
            return replace(s3.settings, access_key_id="NEW")

        async with open_store(replace(s3.settings, reload=reload)) as store:

            async def refused() -> None:
                with pytest.raises(CredentialsRenewedError):
                    await store.list_page("")

            async with task_group() as group:
                for _ in range(8):
                    group.start_soon(refused)
            await store.list_page("")
    assert len(reads) == 1
    assert threading.get_ident() not in reads


@pytest.mark.row(29)
async def test_credentials_that_were_read_again_are_renewed_by_their_own_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one of the refused ones may go on with those."""
    monkeypatch.setattr(credentials, "RENEWAL", 0.001)

    def expire(request: Request) -> Answer | None:
        return EXPIRED if "Credential=AKID/" in request.headers["authorization"] else None

    async with ScriptedS3(dict.fromkeys(KEYS, b"data")) as s3:
        s3.on_list = expire
        read = replace(s3.settings, access_key_id="READ", renew=lambda: named("RENEWED"))
        first = replace(s3.settings, renew=lambda: named("AKID"), reload=lambda: read)
        async with open_store(first) as store:
            await listed_as(store, s3, "RENEWED")


@pytest.mark.row(29)
async def test_credentials_of_a_provider_are_read_again_once_in_a_minute() -> None:
    """It gives out others each time; what is refused for another reason ends the run."""
    denied = Answer(b"<Error><Code>AccessDenied</Code></Error>", 403)
    names = iter(["FIRST", "SECOND", "THIRD"])
    async with ScriptedS3() as s3:
        s3.on_list = lambda _: denied

        def reload() -> Settings:
            return replace(s3.settings, access_key_id=next(names), renew=lambda: named("NEW"))

        async with open_store(replace(s3.settings, reload=reload)) as store:
            with pytest.raises(CredentialsRenewedError):
                await store.list_page("")
            with pytest.raises(AuthError, match="do not allow listing"):
                await store.list_page("")
    assert next(names) == "SECOND"


@pytest.mark.row(29)
async def test_credentials_that_expire_later_are_read_again() -> None:
    """Whatever became of those before them."""
    now = 0.0
    names = iter(["SECOND", "THIRD"])
    first = Settings("FIRST", "the-secret", "https://host", "sensors", renew=lambda: named("NEW"))
    settings = replace(first, reload=lambda: replace(first, access_key_id=next(names)))
    held = credentials.HeldCredentials(settings, lambda: now)
    for name in ("FIRST", "SECOND"):
        sent = SignedHeaders(authorization=f"AWS4-HMAC-SHA256 Credential={name}/20260101")
        assert isinstance(await held.refused(AuthError("no"), sent), CredentialsRenewedError)
        now += credentials.RENEWAL
    assert held.current.access_key_id == "THIRD"


@pytest.mark.row(29)
async def test_credentials_for_another_endpoint_are_not_sent_to_this_one() -> None:
    """Their session token is a secret of that one: whoever changes the settings begins a run."""
    async with ScriptedS3() as s3:
        s3.on_list = lambda _: EXPIRED
        other = replace(
            s3.settings,
            access_key_id="OTHER",
            session_token="the-token",
            endpoint_url="https://other.example",
        )
        async with open_store(replace(s3.settings, reload=lambda: other)) as store:
            for _ in range(2):
                with pytest.raises(AuthError, match="they are for another endpoint now"):
                    await store.list_page("")
    assert not any("x-amz-security-token" in request.headers for request in s3.requests)

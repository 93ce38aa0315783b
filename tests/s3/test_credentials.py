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
from asyncsync.secret import Secret
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

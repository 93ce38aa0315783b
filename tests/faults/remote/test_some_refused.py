"""What an endpoint says of some of many objects, while it serves others (rows 27, 28 and 36)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsync.disk import PART
from asyncsync.errors import AuthError, RedirectError, RefusedError, SourceError
from asyncsync.pace.refused import MOST_ALIKE
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync

pytestmark = pytest.mark.anyio

NINE = {f"1hz/{number}.csv": b"%d" % number for number in range(9)}
BAD = "1hz/4.csv"


def refusing(
    status: int, code: str = "", *, keys: Callable[[str], bool] = BAD.__eq__, verb: str = "GET"
) -> Callable[[Request], Answer | None]:
    """Return what answers requests about these keys: GET with a code, HEAD without a body."""
    html = b"<!DOCTYPE html><html><body>No.</body></html>"
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else html

    def answer(request: Request) -> Answer | None:
        if not keys(request.key) or verb not in (request.verb, "both"):
            return None
        headers = {"Location": "http://127.0.0.1:9/x"} if status in (301, 307) else {}
        return Answer(b"" if request.verb == "HEAD" else body, status, headers)

    return answer


ANSWERS = [
    (400, "KMS.DisabledException"),
    (400, "InvalidArgument"),
    (400, ""),
    (401, ""),
    (403, "SignatureDoesNotMatch"),
    (403, "RequestTimeTooSkewed"),
    (404, "NoSuchBucket"),
    (405, "MethodNotAllowed"),
    (501, "NotImplemented"),
    (301, "PermanentRedirect"),
    (307, "TemporaryRedirect"),
    (418, ""),
]


@pytest.mark.row(27, 28, 36)
@pytest.mark.parametrize(("status", "code"), ANSWERS)
@pytest.mark.parametrize("verb", ["GET", "both"])
async def test_refused_object_fails_alone(dest: Path, status: int, code: str, verb: str) -> None:
    """Whatever the endpoint says of one object of nine: it is named, and all others arrive."""
    async with ScriptedS3(NINE) as s3:
        s3.on_object = refusing(status, code, verb=verb)
        ran = await sync(s3, dest)
    assert (ran.code, ran.error) == (1, None)
    assert ran.seen.failures == {BAD: RefusedError}
    assert ran.report.downloaded == 8
    assert str(status) in str(ran.report.failures[0].error) or status in (301, 307)


@pytest.mark.row(27, 36)
@pytest.mark.parametrize("verb", ["GET", "both"])
async def test_refused_large_object_fails_alone(dest: Path, verb: str) -> None:
    """So it is where its parts are refused, or one of them after others came."""
    objects = NINE | {BAD: bytes(PART + 5)}
    async with ScriptedS3(objects) as s3:
        refuse = refusing(400, "InvalidArgument", verb=verb)
        s3.on_object = lambda request: (
            None if request.headers.get("range", "").startswith("bytes=0-") else refuse(request)
        )
        ran = await sync(s3, dest)
    assert (ran.code, ran.seen.failures) == (1, {BAD: RefusedError})
    assert ran.report.downloaded == 8


@pytest.mark.row(27, 28, 36)
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidArgument", SourceError),
        (401, "", AuthError),
        (501, "", SourceError),
        (307, "", RedirectError),
    ],
)
async def test_ten_objects_refused_alike_end_the_run(
    dest: Path, status: int, code: str, kind: type[SourceError]
) -> None:
    """The tenth ends the run, though pages of the listing are served in between."""
    keys = [f"1hz/{number:03}.csv" for number in range(100)]
    async with ScriptedS3(dict.fromkeys(keys, b"x"), page_size=2) as s3:
        s3.on_object = refusing(status, code, keys=lambda _: True)
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (4, kind)
    assert f"{MOST_ALIKE} objects in a row were refused like that" in str(ran.error)
    assert len(ran.seen.failures) < MOST_ALIKE


@pytest.mark.row(27)
async def test_refused_objects_among_served_ones_never_end_the_run(dest: Path) -> None:
    """One worker meets eight of nine that are refused, again and again: each of them is named."""
    objects = {f"1hz/{number:03}.csv": b"x" for number in range(90)}
    async with ScriptedS3(objects) as s3:
        s3.on_object = refusing(400, "InvalidArgument", keys=lambda key: int(key[4:7]) % 9 > 0)
        ran = await sync(s3, dest, workers=1)
    assert (ran.code, ran.report.downloaded, ran.report.failed) == (1, 10, 80)


@pytest.mark.row(27)
async def test_objects_refused_for_other_reasons_do_not_add_up(dest: Path) -> None:
    """Nineteen objects are refused in a row, but no ten of them alike."""
    objects = {f"1hz/{number:03}.csv": b"x" for number in range(19)}
    odd = refusing(400, "InvalidArgument", keys=lambda key: int(key[4:7]) % 2 > 0)
    even = refusing(501, "NotImplemented", keys=lambda _: True)
    async with ScriptedS3(objects) as s3:
        s3.on_object = lambda request: odd(request) or even(request)
        ran = await sync(s3, dest, workers=1)
    assert (ran.code, ran.report.failed) == (1, 19)

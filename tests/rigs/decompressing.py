"""How servers answer that decompress an object on its way to a client that does not accept that.

s3 = ScriptedS3({"a.parquet": gzip.compress(data)})
s3.on_object = Decompressing(s3)

As traces of R2 show it, and of Google's S3 API; what R2 answers to a range is not known, so both
ways are tried.
"""

import gzip
from dataclasses import dataclass

from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3

GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Decompressing:
    """Answers GET and HEAD of a scripted server.

    Args:
        s3: the server.
        ranges: whether it sends a range of what it decompresses; otherwise it sends it all.
        warns: whether a warning marks what it changes; otherwise a weak ETag.
        lengths: whether it tells lengths: of what it has decompressed, and in HEAD as stored.
    """

    s3: ScriptedS3
    ranges: bool = True
    warns: bool = False
    lengths: bool = False

    def __call__(self, request: Request) -> Answer | None:
        """Return the answer; None for the usual one."""
        data = self.s3.objects.get(request.key, b"")
        tag = f'"{self.s3.tag(data)}"'
        if not data or request.headers.get("if-match", tag) != tag:
            return None
        accepts = "gzip" in request.headers["accept-encoding"].split(", ")
        changed = {"Warning": "214 - gunzipped"} if self.warns else {"ETag": f"W/{tag}"}
        if data.startswith(GZIP):
            if self.lengths and request.verb == "HEAD":
                return None
            if not accepts:
                return self._plain(request, gzip.decompress(data), changed)
            if request.verb == "HEAD" or "range" in request.headers:
                return None
            return Answer(data, headers={"ETag": tag, "Content-Encoding": "gzip"})
        if accepts and "range" not in request.headers:  # as Cloudflare compresses any text
            return _chunked(gzip.compress(data), changed | {"Content-Encoding": "gzip"})
        return None

    def _plain(self, request: Request, plain: bytes, headers: dict[str, str]) -> Answer:
        """Return an answer from what is decompressed."""
        stored = self.s3.objects[request.key]
        asked, status = request.headers.get("range"), 200
        if "x-amz-checksum-mode" in request.headers:
            headers = {**headers, **self.s3.tells(stored)}
        if asked and self.ranges:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            total = len(plain) if self.lengths else len(stored)
            plain, status = plain[first : last + 1], 206
            last = first + len(plain) - 1
            headers = headers | {"Content-Range": f"bytes {first}-{last}/{total}"}
        if self.lengths:
            return Answer(plain, status, headers | {"Vary": "Accept-Encoding"})
        return _chunked(plain, headers, status)


def _chunked(body: bytes, headers: dict[str, str], status: int = 200) -> Answer:
    """Return an answer without a length."""
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return Answer(framed, status, headers | {"Transfer-Encoding": "chunked"})

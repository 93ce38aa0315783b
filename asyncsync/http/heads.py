"""Makes the head of a request, and parses that of a response."""

import re

from asyncsync.secret import SignedHeaders

_NAME = re.compile("\\r\\n([^:\\r\\n]+):")
_VALUE = re.compile("\\r\\n[^:\\r\\n]+:[ \\t]*([^\\r\\n]*[^\\r\\n\\t ])?")


class Headers(dict[str, str]):
    """The headers of a response, by name in lower case; one that is missing is empty."""

    __slots__ = ()

    def __missing__(self, _name: str) -> str:
        return ""


def encode_head(method: str, target: str, headers: SignedHeaders) -> memoryview:
    """Return the head of a request as it is sent, in a view, whose `repr` shows nothing of it.

    Raises:
        ValueError: the target or a header contains a line break, or is not ASCII.
    """
    head = f"{method} {target} HTTP/1.1\n"
    for name, value in headers.items():
        head += f"{name}: {value}\n"
    if not head.isascii() or "\r" in head or head.count("\n") != len(headers) + 1:
        del head, name, value  # they may authenticate the request
        raise ValueError("the request's target or a header has a line break or is not ASCII")
    return memoryview(f"{head}\n".replace("\n", "\r\n").encode("ascii"))


def parse_headers(head: str) -> Headers:
    """Return the headers of a head that the parser has accepted.

    The values of a repeated header are joined with `, `. Two searches take a tenth of the time that
    a call for each header takes.
    """
    names, values = _NAME.findall(head.lower()), _VALUE.findall(head)
    headers = Headers(zip(names, values, strict=True))
    if len(headers) < len(names):
        headers = Headers()
        for name, value in zip(names, values, strict=True):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers

"""Makes the head of a request, and parses that of a response."""

import re

_NAME = re.compile("\\r\\n([^:\\r\\n]+):")
_VALUE = re.compile("\\r\\n[^:\\r\\n]+:[ \\t]*([^\\r\\n]*[^\\r\\n\\t ])?")


def encode_head(lines: list[str]) -> memoryview:
    """Return the head of a request as it is sent, in a view, whose `repr` shows nothing of it.

    Args:
        lines: the request line and the headers, without line breaks; emptied by an error, in whose
            frames they are, since they may authenticate the request.

    Raises:
        ValueError: a line contains a line break, or is not ASCII.
    """
    head = "\r\n".join([*lines, "", ""])
    breaks = len(lines) + 1
    if not head.isascii() or head.count("\n") != breaks or head.count("\r") != breaks:
        lines.clear()
        del head
        raise ValueError("the request's target or a header has a line break or is not ASCII")
    return memoryview(head.encode("ascii"))


def parse_headers(head: str) -> dict[str, str]:
    """Return the headers of a head that the parser has accepted, by name in lower case.

    The values of a repeated header are joined with `, `. Two searches take a tenth of the time that
    a call for each header takes.
    """
    names, values = _NAME.findall(head.lower()), _VALUE.findall(head)
    headers = dict(zip(names, values, strict=True))
    if len(headers) < len(names):
        headers = {}
        for name, value in zip(names, values, strict=True):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers

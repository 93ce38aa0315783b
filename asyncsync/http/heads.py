"""Encodes the head of a request."""


def encode_head(lines: list[str]) -> bytes:
    """Return the head of a request as it is sent.

    Args:
        lines: the request line and the headers, without line breaks.

    Raises:
        ValueError: a line contains a line break, or is not ASCII.
    """
    head = "\r\n".join([*lines, "", ""])
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        raise ValueError("the request's target or a header contains a line break")
    return head.encode("ascii")

"""Encodes the head of a request."""


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

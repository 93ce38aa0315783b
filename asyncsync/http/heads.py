"""A request's head as it goes out."""


def encode_head(lines: list[str]) -> bytes:
    """Return a request's head as it goes out.

    Raises:
        ValueError: a line holds a line break, or is not ASCII.
    """
    head = "\r\n".join([*lines, "", ""])
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        raise ValueError("a request's target or header holds a line break")
    return head.encode("ascii")

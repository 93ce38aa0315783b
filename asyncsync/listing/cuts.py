"""Where to cut a range of keys, guessed from the keys so far.

Nothing is known of the keys to come, except that they are after the last one so far and probably
look like it. So the cuts are put where a key can first differ from that one: after `1hz/0`,
`1hz/1`, ... `1hz/9` at a digit, after each letter at a letter, and at growing distances at anything
else. A bad guess costs an empty page, never a key.
"""

from collections.abc import Iterator, Sequence

from asyncsync.keys import is_too_long

HIGHEST = "\U0010fffd"
"""Sorts after every character that is likely in a key."""

_CLASSES = (("0", "9"), ("A", "Z"), ("a", "z"))
_GALLOP = [2**power for power in range(20)]


def are_utf8(keys: Sequence[str]) -> bool:
    """Return whether the keys are valid UTF-8: then they sort by bytes and fit into a request."""
    try:
        "".join(keys).encode()
    except UnicodeEncodeError:
        return False
    return True


def can_be_asked(key: str) -> bool:
    """Return whether a request can name the key."""
    return are_utf8([key]) and not is_too_long(key)


def separated_prefixes(cut: str) -> Iterator[str]:
    """Yield each prefix `x/` that has keys after the cut, while the key `x` is not after it."""
    for end in range(1, len(cut) + 1):
        if cut[end : end + 1] <= "/":
            yield cut[:end] + "/"


def find_cuts(first: str, last: str, until: str, most: int) -> list[str]:
    """Return at most `most` keys that cut the range after `last` into pieces of similar size.

    They are in ascending order, at least `last` and less than `until`, and need not exist. Keys are
    compared by code points, which gives the same order as their UTF-8 bytes.

    Args:
        first: a key one or more pages before `last`; a piece should hold as many keys as there are
            between the two.
        last: the last known key.
        until: where the range ends.
        most: how many; may be 0.
    """
    found = next(_levels(first, last, until), [])
    if len(found) <= most:
        return found
    return [found[index * len(found) // most] for index in range(most)]


def find_survey_cuts(first: str, last: str, until: str, most: int) -> list[str]:
    """Return at most `most` cuts as `find_cuts` does, but one for each character of `last`."""
    return [found[0] for found in _levels(first, last, until)][:most][::-1]


def _levels(first: str, last: str, until: str) -> Iterator[list[str]]:
    """Yield the cuts at each character of `last`, from its start to its end."""
    for place, here in enumerate(last):
        top = until[place : place + 1]
        if here == top:
            continue
        chars = _chars_from(here, first[place : place + 1])
        if first[:place] != last[:place] or not chars:
            return  # a piece here would hold fewer keys than there are between `first` and `last`
        candidates = [last[:place] + char + HIGHEST for char in chars]
        if found := [cut for cut in candidates if last <= cut < until]:
            yield found
        until = last[:place] + here + HIGHEST


def _chars_from(here: str, before: str) -> list[str]:
    """Return characters from `here` on, about as far apart as `before` and `here` are."""
    for start, end in _CLASSES:
        if start <= here <= end:
            return [chr(code) for code in range(ord(here), ord(end) + 1)] if before == here else []
    stride = max(2 * (ord(here) - ord(before or here)), 1)
    codes = (ord(here) + stride * step for step in (0, *_GALLOP))
    return [chr(code) for code in codes if code < ord(HIGHEST) and not 0xD800 <= code < 0xE000]

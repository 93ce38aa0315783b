"""Values that must not be shown: credentials, and whatever else the environment has.

Reporters of crashes, and tracebacks in notebooks, print the local variables of every frame. What is
wrapped here they print without its value.
"""

import os
import re
from collections.abc import Iterator, Mapping

_VISIBLE = re.compile(r"[!-~]+")


class Secret:
    """A text that neither `repr` nor `str` shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def of(cls, text: "Secret | str") -> "Secret":
        """Return the text as a secret, which it may be already."""
        return text if isinstance(text, cls) else cls(str(text))

    def reveal(self) -> str:
        """Return the text, to be sent or checked; never keep it in a variable."""
        return self._text

    def strip(self) -> "Secret":
        """Return it without the white space around it."""
        return Secret(self._text.strip())

    @property
    def is_visible(self) -> bool:
        """Whether it is visible ASCII throughout, as what a request is signed with has to be."""
        return _VISIBLE.fullmatch(self._text) is not None

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"


class Environment(Mapping[str, str]):
    """The environment of the process, or one that is given; `repr` shows none of it.

    Args:
        given: what it holds; None takes that of the process, as it is then.
    """

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, str] | None) -> None:
        self._given = given

    def __getitem__(self, name: str) -> str:
        return (os.environ if self._given is None else self._given)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ if self._given is None else self._given)

    def __len__(self) -> int:
        return len(os.environ if self._given is None else self._given)

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"


class SignedHeaders(dict[str, str]):
    """The headers of a request, of which some authenticate it; `repr` shows none of them."""

    __slots__ = ("place",)

    place: str
    """The host and the region that they were made for."""

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"

"""What an option was called before: `since` was `incremental`, and its words go on working."""

from collections.abc import Mapping

from asyncsync.secret import Secret

SINCE_WORDS = {"auto": True, "off": False}
"""What `since` takes beside a moment, and whether a run is incremental then."""


def apply_since_word(found: dict[str, object], given: Mapping[str, object]) -> None:
    """Let a word of `since` set `incremental`, unless an argument sets that.

    Args:
        found: what all places together have set, by field name.
        given: what arguments have set.
    """
    word = found.get("since")
    if not isinstance(word, str) or word not in SINCE_WORDS:
        return
    del found["since"]
    is_argument = given.get("since") is not None
    if given.get("incremental") is None and (is_argument or "incremental" not in found):
        found["incremental"] = SINCE_WORDS[word]


def since_note(values: Mapping[str, Secret], given: Mapping[str, object]) -> str:
    """Return what to say of a word of `since` that does what `incremental` is for; or nothing.

    Args:
        values: what the variables are set to.
        given: what arguments have set.
    """
    unset = Secret("")
    variable = values.get("ASYNCSYNC_SINCE", unset).strip().reveal()
    word = variable if given.get("since") is None else given["since"]
    if word == "auto":
        return (
            "since: auto is called --incremental now (ASYNCSYNC_INCREMENTAL=yes, "
            "incremental=True); --since takes a date"
        )
    is_incremental = values.get("ASYNCSYNC_INCREMENTAL", unset).strip() or variable == "auto"
    if word == "off" and is_incremental:
        return (
            "since: off is called ASYNCSYNC_INCREMENTAL=no (incremental=False) now; --since takes "
            "a date"
        )
    return ""

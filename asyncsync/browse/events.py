"""What `ls` and `du` find as JSON objects, for programs. `docs/json.md` describes them."""

from dataclasses import asdict

from asyncsync.browse.entries import Entry, ListedFolder, Usage
from asyncsync.model import UNKNOWN_SIZE
from asyncsync.report import Json, Report
from asyncsync.times import format_time


def entry_json(entry: Entry) -> Json:
    """Return an object or a folder of a listing."""
    if isinstance(entry, ListedFolder):
        return {"event": "folder", "prefix": entry.prefix}
    return {
        "event": "object",
        "key": entry.remote.key,
        "size": None if entry.remote.size == UNKNOWN_SIZE else entry.remote.size,
        "etag": entry.remote.etag,
        "modified": format_time(entry.remote.modified_ns),
        "state": entry.state.value,
    }


def usage_json(prefix: str, usage: Usage) -> Json:
    """Return the figures of a folder."""
    return {"event": "usage", "prefix": prefix, **asdict(usage)}


def end_json(command: str, total: Usage, report: Report, exit_code: int, error: str) -> Json:
    """Return the last line of `ls` or `du`; `error` is the message of what ended it early."""
    return {
        "event": "end",
        "command": command,
        "exit_code": exit_code,
        "error": error,
        **asdict(total),
        "left_out": report.left_out,
        "unmatched": report.unmatched_prefixes,
        "absent": report.absent_prefixes,
    }

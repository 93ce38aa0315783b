"""The events of a run as JSON objects, for programs. `docs/json.md` describes them."""

from dataclasses import asdict

from asyncsync.model import Downloaded, Failed, Outcome, Route, Transfer, UpToDate
from asyncsync.report.findings import Finding
from asyncsync.report.naming import Json, word
from asyncsync.report.report import Report
from asyncsync.times import format_time

FORMAT = 1
"""Increases when programs would misread the events otherwise, so not for a new field."""


def start_json(command: str, route: Route) -> Json:
    """Return the first event of a run; it has a shard only if the run is for one."""
    return {
        "event": "start",
        "format": FORMAT,
        "command": command,
        "endpoint": route.endpoint,
        "bucket": route.bucket,
        "dest": route.dest,
        "stripped": route.stripped,
        "odd_keys": route.odd_keys.value,
        **({"shard": route.shard} if route.shard else {}),
    }


def transfer_json(transfer: Transfer, event: str = "transfer") -> Json:
    """Return a planned transfer, or with another `event` one that has ended.

    It has a path only where that is not the key, and says what is kept only where something is, and
    that the file was edited here only where it was.
    """
    key, path = transfer.remote.key, "/".join(transfer.path)
    return {
        "event": event,
        "key": key,
        **({} if path == key else {"path": path}),
        "size": transfer.remote.size,
        "etag": transfer.remote.etag,
        "modified": format_time(transfer.remote.modified_ns),
        "reason": transfer.reason.value,
        **({"edited": True} if transfer.is_edited else {}),
        **({"kept": transfer.kept} if transfer.kept else {}),
    }


def outcome_json(outcome: Outcome) -> Json:
    """Return the outcome of one object."""
    match outcome:
        case Downloaded(transfer, attempts, seconds, _, proven):
            done = transfer_json(transfer, "downloaded")
            ended = {"attempts": attempts, "seconds": round(seconds, 3), "proven": proven.names}
            return {**done, **ended}
        case UpToDate(remote, proven):
            known: Json = {"event": "up-to-date", "key": remote.key, "size": remote.size}
            return {**known, "proven": proven.names}
        case Failed(remote, error):
            return {
                "event": word(outcome),
                "key": remote.key,
                "error": type(error).__name__,
                "message": error.advice,
            }


def extra_json(key: str) -> Json:
    """Return the event for a file that is not in the bucket, and stays."""
    return {"event": "extra", "key": key}


def removed_json(key: str, size: int, command: str) -> Json:
    """Return the event for a file that was deleted or, in a plan, would be."""
    return {"event": "delete" if command == "plan" else "deleted", "key": key, "size": size}


def summary_json(report: Report, command: str, exit_code: int, error: str = "") -> Json:
    """Return the last event of a run. `error` is the message of what ended it early."""
    return {
        "event": "summary",
        "command": command,
        "exit_code": exit_code,
        "error": error,
        "downloaded": report.downloaded,
        "new": report.new,
        "replaced": report.replaced,
        "edited": report.edited,
        "downloaded_bytes": report.downloaded_bytes,
        "kept_bytes": report.kept_bytes,
        "up_to_date": report.up_to_date,
        "failed": report.failed,
        "skipped": report.skipped,
        "archived": report.archived,
        "retried": report.retried,
        "proven": report.proven,
        "content_proven": report.content_proven,
        "unmatched": report.unmatched_prefixes,
        "absent": report.absent_prefixes,
        "left": report.left,
        "verified": report.verified,
        "extra": report.extra_files,
        "deleted": report.deleted,
        "deleted_bytes": report.deleted_bytes,
        "seconds": round(report.seconds, 3),
        "prefixes": {prefix: asdict(tally) for prefix, tally in sorted(report.tallies.items())},
        "total": asdict(report.total),
    }


def check_json(finding: Finding) -> Json:
    """Return the result of one check of the doctor."""
    return {
        "event": "check",
        "check": finding.check,
        "verdict": finding.verdict.value,
        "message": finding.text,
        "exit_code": finding.exit_code,
    }

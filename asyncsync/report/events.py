"""What a run tells to programs: each event as a JSON object. `docs/json.md` describes them."""

from dataclasses import asdict

from asyncsync.errors import SkippedError
from asyncsync.model import Downloaded, Failed, Outcome, Route, Transfer, UpToDate
from asyncsync.report.findings import Finding
from asyncsync.report.report import Report
from asyncsync.times import format_time

FORMAT = 1
"""Grows when a reader of the events would misunderstand them; a new field is no reason."""

Json = dict[str, object]


def start_json(command: str, route: Route) -> Json:
    """Return what a run is going to do."""
    return {
        "event": "start",
        "format": FORMAT,
        "command": command,
        "endpoint": route.endpoint,
        "bucket": route.bucket,
        "dest": route.dest,
    }


def transfer_json(transfer: Transfer, event: str = "transfer") -> Json:
    """Return what is going to be fetched, or what was."""
    return {
        "event": event,
        "key": transfer.remote.key,
        "size": transfer.remote.size,
        "etag": transfer.remote.etag,
        "modified": format_time(transfer.remote.modified_ns),
        "reason": transfer.reason.value,
    }


def outcome_json(outcome: Outcome) -> Json:
    """Return one object's end."""
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
                "event": "skipped" if isinstance(error, SkippedError) else "failed",
                "key": remote.key,
                "error": type(error).__name__,
                "message": str(error),
            }


def extra_json(key: str) -> Json:
    """Return a file that a verification did not find in the bucket."""
    return {"event": "extra", "key": key}


def summary_json(report: Report, command: str, exit_code: int, error: str = "") -> Json:
    """Return a whole run's figures; `error` says what ended it early."""
    return {
        "event": "summary",
        "command": command,
        "exit_code": exit_code,
        "error": error,
        "downloaded": report.downloaded,
        "downloaded_bytes": report.downloaded_bytes,
        "kept_bytes": report.kept_bytes,
        "up_to_date": report.up_to_date,
        "failed": report.failed,
        "skipped": report.skipped,
        "retried": report.retried,
        "proven": report.proven,
        "unmatched": report.unmatched_prefixes,
        "verified": report.verified,
        "extra": report.extra_files,
        "seconds": round(report.seconds, 3),
        "prefixes": {prefix: asdict(tally) for prefix, tally in sorted(report.tallies.items())},
        "total": asdict(report.total),
    }


def check_json(finding: Finding) -> Json:
    """Return what the doctor says about one thing."""
    return {
        "event": "check",
        "check": finding.check,
        "verdict": finding.verdict.value,
        "message": finding.text,
        "exit_code": finding.exit_code,
    }

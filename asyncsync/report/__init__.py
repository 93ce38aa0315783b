"""Outcomes in; counts, text, JSON lines and an exit code out.

Read `report.py` first: it counts outcomes and makes text of the counts. `tally.py` has the sync
check, by prefix, and its table. `naming.py` says how a line names an object, and `html.py` formats
the counts for notebooks. `files.py` keeps which files are new, and `arrow.py` makes a table of
them. `rows.py` has what became of each object as rows, and
`reportfile.py` writes them to a file. `plan.py` adds what is special about a plan and a
verification. `events.py` makes the JSON lines, and `planfile.py` reads a plan back from them.
`findings.py` has the results of the doctor.

Nothing here prints, and nothing keeps in memory what grows with the bucket, except a plan.
"""

from asyncsync.report.events import (
    check_json,
    extra_json,
    outcome_json,
    removed_json,
    start_json,
    summary_json,
    transfer_json,
)
from asyncsync.report.files import NewFile, NewFiles
from asyncsync.report.findings import Finding, Look, Verdict, ok, skipped, warning
from asyncsync.report.naming import Json, failure, way
from asyncsync.report.plan import Plan, PlanCounts, Verification, checked_plan
from asyncsync.report.planfile import PlanFile
from asyncsync.report.report import (
    HELD_BACK,
    Report,
    plan_summary,
    stop_summary,
    sync_summary,
    verify_summary,
)
from asyncsync.report.reportfile import ReportFile, reporting
from asyncsync.report.tally import Tally, table

__all__ = [
    "HELD_BACK",
    "Finding",
    "Json",
    "Look",
    "NewFile",
    "NewFiles",
    "Plan",
    "PlanCounts",
    "PlanFile",
    "Report",
    "ReportFile",
    "Tally",
    "Verdict",
    "Verification",
    "check_json",
    "checked_plan",
    "extra_json",
    "failure",
    "ok",
    "outcome_json",
    "plan_summary",
    "removed_json",
    "reporting",
    "skipped",
    "start_json",
    "stop_summary",
    "summary_json",
    "sync_summary",
    "table",
    "transfer_json",
    "verify_summary",
    "warning",
    "way",
]

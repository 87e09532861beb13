"""An assessment's compliance report."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from access import audit, auth, caller
from blueprints import Blueprint, build_disclosure, file_response, find
from blueprints.candidates import csv_cell, csv_lines
from models import ApiToken, Assessment, sessions
from models.review.compliance import build_report
from schemas.review.compliance import Compliance, ComplianceReport

blp = Blueprint("Compliance", __name__, description="Evidence for works councils, auditors and lawyers.")


@blp.get("/assessments/<id:assessment_id>/compliance")
@auth.required(ApiToken, scope="admin")
@blp.response(200, Compliance)
def get_compliance(assessment_id):
    """Get the compliance report

    Decisions without a reason, rejected candidates with a higher total than a selected one, scores that were not
    independent, who read and changed what, due erasures, and the retention period with the text that candidates agree
    to. Totals that the caller cannot see yet are left out. For selection rates by group, see `fairness`.
    """
    return {"compliance": _build(assessment_id)}


@blp.get("/assessments/<id:assessment_id>/compliance/export")
@auth.required(ApiToken, scope="admin")
@blp.file(
    "A table for each part of the report.", "CSV file.", "text/csv", example="Decisions\r\nRejected,12\r\n"
)
@audit.record_read
def export_compliance(assessment_id):
    """Export the compliance report

    The report as a CSV file, without candidates' names.
    """
    rows = _csv_rows(ComplianceReport().dump(_build(assessment_id)))
    return file_response("compliance.csv", iter([csv_lines(map(csv_cell, row) for row in rows)]), "text/csv")


def _build(assessment_id: Any) -> dict[str, Any]:
    assessment = find(Assessment, assessment_id)
    sessions.close_all_due(assessment_id=assessment.id)
    version = build_disclosure(caller.organization)["version"]
    return build_report(assessment, caller) | {"disclosure_version": version}


def _csv_rows(report: Mapping[str, Any]) -> Iterator[Any]:
    for part, value in report.items():
        if isinstance(value, dict):
            yield from ([_words(part)], *([_words(name), count] for name, count in value.items()), [])
        elif value and isinstance(value, list) and isinstance(value[0], dict):
            yield from ([_words(part)], map(_words, value[0]), *(row.values() for row in value), [])
        else:
            yield from ([_words(part), *(value if isinstance(value, list) else [value])], [])


def _words(name: str) -> str:
    return re.sub(r"(?=[A-Z])", " ", name).capitalize()

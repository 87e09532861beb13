"""Assessments: create, list, get, update, delete."""

from contextlib import suppress

from flask import jsonify

from access import audit, auth, caller, etags, gates, raises, reports_ignored_fields
from access.idempotency import before_transaction, idempotent
from blueprints import Blueprint, cursor_page, find, record_task_read, setting, store, with_location
from errors import AlreadyStarted, NotFound, QuotaExceeded, RepositoryHosted, StoreUnavailable, TaskIncomplete
from models import ApiToken, Assessment, CandidateKey, Issue
from models.tasks import queue
from ops import problems
from rules.rows import row_id
from schemas import assessments as schemas

blp = Blueprint("Assessments", __name__, description="Tasks that candidates are invited to.")


def _prepare_problem(data):
    """Store the files of a problem that the service ships, unless the assessment gets others."""
    if data.get("repo_url") or data.get("template_id") or not data.get("issue_id"):
        return None
    return problems.prepare(caller.organization, data["issue_id"], store)


@blp.post("/assessments")
@auth.required(ApiToken, scope="write")
@reports_ignored_fields
@with_location
@gates.subscribed
@before_transaction(_prepare_problem, body=schemas.NewAssessment())
@idempotent
@raises(QuotaExceeded, RepositoryHosted, StoreUnavailable)
@blp.arguments(schemas.NewAssessment)
@blp.response(201, schemas.AssessmentResponse)
@audit.record_change(created="assessment")
def create_assessment(data, prepared):
    """Create an assessment

    Counts toward the plan's monthly quota. An omitted brief or repository is copied from the issue, also a hosted
    repository with its hidden tests and reference solution, which are then checked. `templateId` copies these from
    another assessment. Later changes to the issue or the template do not affect the assessment.
    """
    created = Assessment.create_within_quota(caller, prepared, **data)
    if created.issue_id or data.get("template_id"):
        with suppress(TaskIncomplete):
            queue.start_check(created)
    return {"assessment": find(Assessment, created.id)}


@blp.get("/assessments")
@auth.required(ApiToken)
@reports_ignored_fields
@blp.arguments(schemas.AssessmentQuery, location="query")
@blp.response(200, schemas.Assessments)
def list_assessments(query):
    """List assessments

    All assessments except deleted ones, oldest first, with their linked issues. Set `limit` to paginate.
    """
    rows = Assessment.visible_to(caller)
    for name, column in (("created_after", Assessment.created_at), ("updated_after", Assessment.updated_at)):
        if name in query:
            rows = rows.where(column > query[name])
    return cursor_page("assessments", rows, query)


@blp.get("/assessments/<id:assessment_id>")
@auth.required(ApiToken | CandidateKey)
@reports_ignored_fields
@etags.with_etag
@blp.response(200, schemas.AssessmentResponse)
def get_assessment(assessment_id):
    """Get an assessment

    Includes the linked issue. Candidates can get only their own assessment. Their first read before the start is the
    session's `taskReadAt`. The URL of a repository that the service hosts is in their `repoUrl` after the start.
    """
    if not isinstance(caller, CandidateKey):
        return {"assessment": find(Assessment, assessment_id)}
    row = caller.assessment_row
    if assessment_id != row_id(row.id):
        raise NotFound()
    record_task_read()
    issue = find(Issue, row_id(row.issue_id)) if row.issue_id else None
    repo_url = row.get_repo_url(setting("BASE_URL"))
    return jsonify(assessment=schemas.serialize_assessment(row, issue, repo_url))


@blp.get("/assessments/<id:assessment_id>/task")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.TaskResponse)
def get_task(assessment_id):
    """Get an assessment's task

    The task that candidates' clients receive when they redeem the key: both forms of the brief, repository and commit,
    setup instructions, tools and budget.
    """
    return {"task": find(Assessment, assessment_id)}


@blp.patch("/assessments/<id:assessment_id>")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@raises(AlreadyStarted, RepositoryHosted)
@blp.arguments(schemas.AssessmentUpdate)
@blp.response(200, schemas.AssessmentResponse)
@audit.record_change()
def update_assessment(data, assessment_id):
    """Update an assessment

    Omitted fields keep their values; null clears a field. Fields that candidates see are locked once the first
    key is redeemed; `expiresInDays` (for new keys), `reminderDaysBefore`, `rubricId`, `blind`, `showTestCounts` and
    `archived` can be changed at any time. A new `repoUrl` clears the folder, and the commit and setup instructions
    unless the request sets them. While the service hosts the repository, `repoUrl` and `repoCommit` cannot be set.
    """
    check = etags.precondition(
        lambda: schemas.AssessmentResponse().dump({"assessment": find(Assessment, assessment_id)})
    )
    find(Assessment, assessment_id).apply_changes(caller, data, check)
    return {"assessment": find(Assessment, assessment_id)}


@blp.delete("/assessments/<id:assessment_id>")
@auth.required(ApiToken, scope="write")
@reports_ignored_fields
@blp.response(200, schemas.DeletedAssessment)
@audit.record_change()
def delete_assessment(assessment_id):
    """Delete an assessment

    Deletes the assessment and its keys; candidates lose access immediately. Sessions and events remain in the database
    but can no longer be read.
    """
    find(Assessment, assessment_id).soft_delete()
    return {"ok": True, "id": assessment_id}

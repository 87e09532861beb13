"""The problem library: the catalogue that all see, and the organization's own issues."""

import peewee

from access import audit, auth
from access.auth import caller
from access.idempotency import idempotent
from blueprints import Blueprint, find, page
from models import ApiToken, CandidateKey, Issue, case_folded
from schemas.issues import DeletedIssue, IssueChange, IssueQuery, Issues, NewIssue, OneIssue

blp = Blueprint(
    "Issues", __name__, description="The problem library: real problems to make assessments from."
)


@blp.get("/issues")
@auth.required(ApiToken)
@blp.arguments(IssueQuery, location="query")
@blp.response(200, Issues)
def list_issues(query):
    """List issues

    A page of the catalogue's and the organization's own issues, oldest first.
    """
    rows = Issue.visible_to(caller)
    if "language" in query:
        rows = rows.where(peewee.fn.LOWER(Issue.language) == query["language"].lower())
    if "difficulty" in query:
        rows = rows.where(Issue.difficulty == query["difficulty"])
    if "q" in query:
        rows = rows.where(Issue.search_text.contains(case_folded(query["q"])))
    return page("issues", rows.order_by(Issue.created_at, Issue.id), query["limit"], query["offset"])


@blp.post("/issues")
@auth.required(ApiToken, scope="write")
@idempotent
@blp.arguments(NewIssue)
@blp.response(201, OneIssue)
@audit.change(created="issue")
def create_issue(data):
    """Add an issue

    To the organization's own; other organizations do not see it.
    """
    created = Issue.add(caller.organization, data)
    return {"issue": find(Issue, created.id)}


@blp.get("/issues/<id:issue_id>")
@auth.required(ApiToken | CandidateKey)
@blp.response(200, OneIssue)
def get_issue(issue_id):
    """Get an issue

    A candidate sees the issue of the own assessment, without what would give the solution away.
    """
    return {"issue": find(Issue, issue_id)}


@blp.patch("/issues/<id:issue_id>")
@auth.required(ApiToken, scope="write")
@blp.arguments(IssueChange)
@blp.response(200, OneIssue)
@audit.change()
def change_issue(data, issue_id):
    """Change an issue

    One of the organization's own; the catalogue's cannot be changed. Assessments made from it stay as they are.
    """
    find(Issue, issue_id, Issue.owned_by).change(data)
    return {"issue": find(Issue, issue_id)}


@blp.delete("/issues/<id:issue_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, DeletedIssue)
@audit.change()
def delete_issue(issue_id):
    """Delete an issue

    One of the organization's own. Assessments made from it keep it.
    """
    find(Issue, issue_id, Issue.owned_by).delete_softly()
    return {"ok": True, "id": issue_id}

"""The problem library: catalog issues and the organization's issues."""

from access import audit, auth, caller, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, get_filters, page, record_task_read, with_location
from errors import RepositoryHosted
from models import ApiToken, CandidateKey, Issue
from schemas.issues import DeletedIssue, IssueQuery, IssueResponse, Issues, IssueUpdate, NewIssue

blp = Blueprint("Issues", __name__, description="The problem library: real problems to base assessments on.")


@blp.get("/issues")
@auth.required(ApiToken)
@blp.arguments(IssueQuery, location="query")
@blp.response(200, Issues)
def list_issues(query):
    """List issues

    Issues from the catalog and your organization, oldest first.
    """
    return page("issues", Issue.search(caller, **get_filters(query)), query)


@blp.post("/issues")
@auth.required(ApiToken, scope="write")
@with_location
@idempotent
@blp.arguments(NewIssue)
@blp.response(201, IssueResponse)
@audit.record_change(created="issue")
def create_issue(data):
    """Create an issue

    The issue is private to your organization.
    """
    created = Issue.add(caller.organization, data)
    return {"issue": find(Issue, created.id)}


@blp.get("/issues/<id:issue_id>")
@auth.required(ApiToken | CandidateKey)
@etags.with_etag
@blp.response(200, IssueResponse)
def get_issue(issue_id):
    """Get an issue

    Candidates can get their assessment's issue, without the fields that reveal the solution. Their first read before
    the start is the session's `taskReadAt`.
    """
    issue = find(Issue, issue_id)
    record_task_read()
    return {"issue": issue}


@blp.patch("/issues/<id:issue_id>")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@raises(RepositoryHosted)
@blp.arguments(IssueUpdate)
@blp.response(200, IssueResponse)
@audit.record_change()
def update_issue(data, issue_id):
    """Update an issue

    Only your organization's issues can be updated; catalog issues are read-only. Existing assessments are not affected.
    While the service hosts the repository, `repoUrl` and `repoCommit` cannot be set.
    """
    check = etags.precondition(lambda: IssueResponse().dump({"issue": find(Issue, issue_id)}))
    find(Issue, issue_id, Issue.owned_by(caller)).apply_changes(data, check)
    return {"issue": find(Issue, issue_id)}


@blp.delete("/issues/<id:issue_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, DeletedIssue)
@audit.record_change()
def delete_issue(issue_id):
    """Delete an issue

    Only your organization's issues can be deleted. Existing assessments keep them.
    """
    find(Issue, issue_id, Issue.owned_by(caller)).soft_delete()
    return {"ok": True, "id": issue_id}

"""The problem library: the catalog and the organization's issues."""

from access import audit, auth, caller, etags
from access.idempotency import idempotent
from blueprints import Blueprint, filters_of, find, located, page
from models import ApiToken, CandidateKey, Issue
from schemas.issues import DeletedIssue, IssueQuery, IssueResponse, Issues, IssueUpdate, NewIssue

blp = Blueprint("Issues", __name__, description="The problem library: real problems to base assessments on.")


@blp.get("/issues")
@auth.required(ApiToken)
@blp.arguments(IssueQuery, location="query")
@blp.response(200, Issues)
def list_issues(query):
    """List issues

    Issues of the catalog and of your organization, oldest first.
    """
    return page("issues", Issue.search(caller, **filters_of(query)), query)


@blp.post("/issues")
@auth.required(ApiToken, scope="write")
@located
@idempotent
@blp.arguments(NewIssue)
@blp.response(201, IssueResponse)
@audit.change(created="issue")
def create_issue(data):
    """Create an issue

    Other organizations cannot see it.
    """
    created = Issue.add(caller.organization, data)
    return {"issue": find(Issue, created.id)}


@blp.get("/issues/<id:issue_id>")
@auth.required(ApiToken | CandidateKey)
@etags.with_etag
@blp.response(200, IssueResponse)
def get_issue(issue_id):
    """Get an issue

    Candidates can get their assessment's issue, without the fields that reveal the solution.
    """
    return {"issue": find(Issue, issue_id)}


@blp.patch("/issues/<id:issue_id>")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@blp.arguments(IssueUpdate)
@blp.response(200, IssueResponse)
@audit.change()
def update_issue(data, issue_id):
    """Update an issue

    Only your organization's issues can be changed, not the catalog's. Existing assessments keep the previous content.
    """
    check = etags.precondition(lambda: IssueResponse().dump({"issue": find(Issue, issue_id)}))
    find(Issue, issue_id, Issue.owned_by(caller)).apply_changes(data, check)
    return {"issue": find(Issue, issue_id)}


@blp.delete("/issues/<id:issue_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, DeletedIssue)
@audit.change()
def delete_issue(issue_id):
    """Delete an issue

    Only your organization's issues can be deleted. Existing assessments keep them.
    """
    find(Issue, issue_id, Issue.owned_by(caller)).soft_delete()
    return {"ok": True, "id": issue_id}

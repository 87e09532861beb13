"""A candidate's workspace: its state, and the files that `workspace.sh` downloads (docs/workspace.md)."""

from typing import Any

from flask import Response

import errors
from access import auth, caller, concurrency, raises
from blueprints import Blueprint, model_budget_nano_usd, model_providers, setting
from models import CandidateKey, ModelUsage, Session, Submission, clock
from models.sessions.coverage import read_received
from models.tasks.runs import FINISHED, hidden_tests
from rules import workspace_files
from rules.session_close import FLUSH_WINDOW, GRACE
from rules.workspace_files import OTHER, Workspace
from schemas.workspace import WorkspaceState

blp = Blueprint("Workspace", __name__, description="A candidate's workspace.")


@blp.get("/candidate/workspace")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@concurrency.long_read
@raises(errors.NotRedeemed)
@blp.response(200, WorkspaceState)
def get_workspace():
    """Get the workspace's state

    Returns the remaining time, the allowed tools, the events received so far, the models' budget and the submission's
    state. Used by the candidate's page and by `./submit`.
    """
    session = Session.get_for_key(caller)
    workspace = _workspace(session)
    close = session.closed_as_of(clock.now()) or session.closes_at
    return {
        "session_id": session.id,
        "status": caller.status_for_candidate,
        "responded_at": clock.now(),
        "started_at": session.redeemed_at,
        "ends_at": session.closes_at and session.closes_at - GRACE,
        "closes_at": session.closes_at,
        "submission_closes_at": close and close + FLUSH_WINDOW,
        "completed_at": session.completed_at,
        "org_name": caller.organization.public_name,
        "repo_url": caller.assessment_row.get_repo_url(setting("BASE_URL")),
        "tools": [{"name": name} for name in workspace.tools],
        "models": _models(workspace),
        "model_usage": _model_usage(session) if workspace.providers else None,
        "submission": Submission.latest(session),
        "hidden_tests": _hidden_tests(session),
        **read_received(session),
    }


@blp.get("/candidate/workspace/files")
@blp.doc(tags=["Candidate"])
@auth.required(CandidateKey)
@raises(errors.NotRedeemed, errors.SessionClosed)
@blp.file(
    "`TASK.md`; `session`, `repository`, `commit` and `subdir`, one line each; `tools`, one per line; and each tool's "
    "settings, which contain the candidate key.",
    "Tar archive of the workspace's files.",
    "application/x-tar",
    example="TASK.md",
)
def get_workspace_files():
    """Get the workspace's files

    The task, the repository and the tools' settings, for `workspace.sh`. Available only while the session is open.
    """
    session = Session.get_for_key(caller)
    if session.closed_as_of(clock.now()):
        raise errors.SessionClosed()
    repository = (session.get_repo_url(setting("BASE_URL")), session.repo_commit)
    files = workspace_files.build_files(_workspace(session), session.assessment, *repository)
    return Response(workspace_files.archive(files), mimetype="application/x-tar")


def _workspace(session: Session) -> Workspace:
    allowed = caller.assessment.allowed_agents
    return Workspace(setting("BASE_URL"), str(session.id), caller.key, allowed, frozenset(model_providers()))


def _hidden_tests(session: Session) -> dict[str, Any] | None:
    """Return the counts of the hidden tests after a hiring decision, if the assessment shows them."""
    has_run = session.hidden_run_id and caller.assessment.show_test_counts
    if not has_run or session.key.decision == "undecided":
        return None
    run = hidden_tests([session.id]).get(session.id)
    return {"passed": run.passed_count, "total": run.total_count} if run and run.state == FINISHED else None


def _models(workspace: Workspace) -> list[dict[str, Any]]:
    """Return each model API's base URL if all tools are allowed, otherwise an empty list."""
    providers = sorted(workspace.providers) if OTHER in workspace.tools else []
    # OpenAI clients expect the version in the URL.
    version = {"anthropic": "", "openai": "/v1"}
    return [{"provider": name, "base_url": workspace.proxy_url(name) + version[name]} for name in providers]


def _model_usage(session: Session) -> dict[str, Any]:
    """Return the budget and its use, and why the session has no model."""
    usage, budget = ModelUsage.summary(session), model_budget_nano_usd(caller.assessment)
    is_spent = budget is not None and usage["spent_nano_usd"] >= budget
    problem = "budget_spent" if is_spent else _provider_problem(usage["status_code"])
    return usage | {"budget_nano_usd": budget, "problem": problem}


def _provider_problem(status: int | None) -> str | None:
    """Return the problem that the last call's status shows."""
    # The proxy responds 403 only if the provider rejects the service's key.
    if status == 403:
        return "provider_key_rejected"
    return "provider_unavailable" if status is not None and (status == 429 or status >= 500) else None

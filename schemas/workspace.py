"""A candidate's workspace: tools, remaining time and received events."""

from rules.workspace_files import MODEL_PROVIDERS
from schemas import common
from schemas.base import Schema
from schemas.fields import Choice, Dollars, Id, Integer, ListOf, Nested, String
from schemas.keys import SESSION_STATUSES
from schemas.submissions import SubmissionWithProblem
from schemas.timestamps import Timestamp

MODEL_PROBLEMS = ("budget_spent", "provider_key_rejected", "provider_unavailable")


class WorkspaceTool(Schema):
    """A tool that the candidate can use."""

    name = Choice(
        ["claude", "codex", "opencode", "other"], "Tool name; `other` is any unlisted tool.", example="claude"
    )


class WorkspaceModel(Schema):
    """A model provider's API, proxied by the service."""

    provider = Choice(MODEL_PROVIDERS, "Provider.", example="anthropic")
    base_url = String("Base URL.", example="https://proofstone.example.com/v1/proxy/anthropic")


class ReceivedFromTool(Schema):
    """Events received from one tool."""

    tool = String("The tool.", example="claude-code")
    prompts = Integer("Number of prompts.", example=12)
    commands = Integer("Number of commands.", example=31)
    changes = Integer("Number of file changes.", example=9)
    last_received_at = Timestamp("Time when the last event arrived.", attribute="last_at")


class WorkspaceModelUsage(Schema):
    """The session's model calls through the service."""

    spent_usd = Dollars("Cost of the completed calls, in USD.", attribute="spent_nano_usd", example=0.42)
    budget_usd = Dollars(
        "Budget in USD; null without a limit.", attribute="budget_nano_usd", example=10, null=True
    )
    problem = Choice(
        MODEL_PROBLEMS,
        "`budget_spent`, or why the last call failed: the provider rejected the service's key, or is unavailable.",
        null=True,
    )
    last_call_at = Timestamp(
        "Time when the last call ended; null without calls.", attribute="ended_at", null=True
    )


class TestCounts(Schema):
    """Counts of the hidden tests."""

    passed = Integer("Tests that passed.", example=9)
    total = Integer("Tests.", example=12)


class WorkspaceState(Schema):
    """The state of a candidate's workspace."""

    session_id = Id("Session id.")
    status = Choice(SESSION_STATUSES, "Session status.", example="active")
    responded_at = Timestamp("Time of the response, by the service's clock.")
    started_at = Timestamp("Time when the session started.")
    ends_at = Timestamp("End of the time limit; null without a limit.", null=True)
    closes_at = Timestamp("Time when the session closes; null without a limit.", null=True)
    submission_closes_at = Timestamp("Submission deadline, ten minutes after the close.", null=True)
    completed_at = Timestamp("Time when the session was completed.", null=True)
    org_name = common.ORG_NAME
    repo_url = common.REPO_URL
    tools = ListOf(WorkspaceTool, "Tools that the candidate can use.")
    models = ListOf(WorkspaceModel, "Model providers, for tools that accept a base URL and a key.")
    model_usage = Nested(WorkspaceModelUsage, "Model calls; null if the service has no model.", null=True)
    submission = Nested(
        SubmissionWithProblem,
        "Latest git bundle or zip archive, readable or not; null without one.",
        null=True,
    )
    hidden_tests = Nested(
        TestCounts, "Hidden tests' counts after the decision, if the assessment shows them.", null=True
    )
    last_received_at = Timestamp("Time when the last event arrived; null without events.", null=True)
    received = ListOf(ReceivedFromTool, "Events received, by tool.")

"""A candidate's workspace: its state and files (docs/workspace.md)."""

import io
import tarfile
from datetime import timedelta

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_issue,
    make_key,
    make_recorded_session,
    make_session,
    record,
)
from response_checks import error_of

from models import ModelUsage
from rules.events.recorded_events import RecordedEvent
from rules.metrics.usage import ReportedUsage

STATE, FILES = "/v1/candidate/workspace", "/v1/candidate/workspace/files"
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def providers(app, monkeypatch):
    """Configure a key for each provider."""
    monkeypatch.setitem(app.config, "ANTHROPIC_API_KEY", "sk-company")
    monkeypatch.setitem(app.config, "OPENAI_API_KEY", "sk-company")


def files_of(response) -> dict[str, str]:
    assert (response.status_code, response.mimetype) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(response.data)) as tar:
        return {entry.name: tar.extractfile(entry).read().decode() for entry in tar}


def start_candidate(app, organization, **values):
    """Start a session in an assessment with these values. Return its candidate."""
    key = make_key(make_assessment(organization, **values))
    make_session(key)
    return Caller.candidate(app, key)


def test_state_of_an_active_session(app, organization, clock):
    candidate = start_candidate(app, organization, time_limit_minutes=90)
    clock.fixed += timedelta(minutes=10)
    state = candidate.get(STATE).json
    assert state == state | {
        "status": "active",
        "startedAt": "2026-04-01T09:00:00.000Z",
        "respondedAt": "2026-04-01T09:10:00.000Z",
        "endsAt": "2026-04-01T10:30:00.000Z",
        "closesAt": "2026-04-01T10:35:00.000Z",
        "submissionClosesAt": "2026-04-01T10:45:00.000Z",
        "completedAt": None,
        "orgName": "Acme",
        "submission": None,
        "received": [],
        "lastReceivedAt": None,
    }


def test_session_without_a_limit_has_no_end(candidate, session):
    state = candidate.get(STATE).json
    assert (state["endsAt"], state["closesAt"], state["submissionClosesAt"]) == (None, None, None)


def test_pending_key_has_no_workspace(candidate):
    for path in (STATE, FILES):
        assert error_of(candidate.get(path)) == (409, "not_redeemed")


def test_completed_session_has_a_deadline_but_no_files(anonymous, candidate, session, clock):
    clock.fixed += timedelta(minutes=20)
    anonymous.post("/v1/candidate/complete", {"key": session.key.key, "sessionId": str(session.id)})
    state = candidate.get(STATE).json
    assert (state["status"], state["completedAt"]) == ("completed", "2026-04-01T09:20:00.000Z")
    assert state["submissionClosesAt"] == "2026-04-01T09:30:00.000Z"
    assert error_of(candidate.get(FILES)) == (409, "session_closed")


def test_received_events_are_counted_once(app, key, clock):
    session = make_recorded_session(key)
    prompt = RecordedEvent("prompt", {"text": "Fix it."}, "prompt-1")
    command = RecordedEvent("command", {"command": "make", "exitCode": 0, "toolUseId": "tool-1"}, "tool-1")
    change = RecordedEvent("file_create", {"path": "a", "content": "b", "toolUseId": "tool-2"}, "tool-2")
    record(session, "proxy", prompt, command)
    clock.fixed += timedelta(minutes=1)
    record(session, "http-hook", command, change)
    state = Caller.candidate(app, key).get(STATE).json
    (tool,) = state["received"]
    assert tool.pop("lastReceivedAt") == state["lastReceivedAt"] == "2026-04-01T09:01:00.000Z"
    assert tool == {"tool": "claude-code", "prompts": 1, "commands": 1, "changes": 1}


def test_client_events_are_counted(candidate, session):
    add_event(session, envelope("command", data={"command": "make", "exitCode": 0}))
    state = candidate.get(STATE).json
    assert state["lastReceivedAt"] is not None
    assert [tool["commands"] for tool in state["received"]] == [1]


def test_state_without_a_provider_has_no_model_usage(candidate, session):
    assert candidate.get(STATE).json["modelUsage"] is None


def test_budget_and_failed_calls_are_shown(clock, candidate, session, providers):
    session.assessment.update_columns(token_budget_nano_usd=10**9)
    state = candidate.get(STATE).json["modelUsage"]
    assert state == {"spentUsd": 0, "budgetUsd": 1, "problem": None, "lastCallAt": None}
    for status, cost, problem in (
        (200, 250_000_000, None),
        (400, None, None),
        (502, None, "provider_unavailable"),
        (403, None, "provider_key_rejected"),
        (429, None, "provider_unavailable"),
        (200, 750_000_000, "budget_spent"),
        (502, None, "budget_spent"),
    ):
        make_model_call(session, status, cost)
        state = candidate.get(STATE).json["modelUsage"]
        assert state["problem"] == problem
    assert (state["spentUsd"], state["lastCallAt"]) == (1, "2026-04-01T09:00:00.000Z")


def make_model_call(session, status, cost_nano_usd):
    usage = ReportedUsage("claude-opus-4-5", {})
    ModelUsage.record(
        session, usage, started_at=session.redeemed_at, provider="anthropic", status_code=status,
        is_whole=True, cost_nano_usd=cost_nano_usd,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("allowed", "tools", "models"),
    [
        (None, ["claude", "codex", "opencode", "other"], ["anthropic", "openai"]),
        (["codex"], ["codex"], []),
        (["claude", "web_search"], ["claude"], []),
    ],
)
def test_only_allowed_tools_are_offered(app, organization, providers, allowed, tools, models):
    candidate = start_candidate(app, organization, allowed_tools=allowed)
    state = candidate.get(STATE).json
    assert state["tools"] == [{"name": name} for name in tools]
    assert [model["provider"] for model in state["models"]] == models
    assert files_of(candidate.get(FILES))["tools"].split() == tools


def test_tool_requires_a_provider_key(app, organization):
    candidate = start_candidate(app, organization)
    assert candidate.get(STATE).json["tools"] == []
    assert "claude.json" not in files_of(candidate.get(FILES))


def test_settings_name_the_configured_providers(app, reader, monkeypatch):
    for name, providers in (("OPENAI_API_KEY", ["openai"]), ("ANTHROPIC_API_KEY", ["anthropic", "openai"])):
        monkeypatch.setitem(app.config, name, "sk-company")
        assert reader.get("/v1/org/settings").json["settings"]["modelProviders"] == providers


def test_files_include_the_task_and_the_repository(app, organization):
    issue = make_issue(
        organization, repo_url="https://git.example/orders", repo_commit=SHA, repo_subdir="services/orders"
    )
    candidate = start_candidate(app, organization, issue_id=issue.id, title="Orders", task_brief="Fix $(it).")
    files = files_of(candidate.get(FILES))
    assert files["TASK.md"].startswith("# Orders\n\nFix $(it).\n")
    assert files["repository"] == "https://git.example/orders\n"
    assert (files["commit"], files["subdir"]) == (f"{SHA}\n", "services/orders\n")
    assert files["session"].strip() == candidate.get(STATE).json["sessionId"]


def test_script_is_public_and_plain_text(app, anonymous, candidate):
    response = anonymous.get("/workspace.sh")
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.data == candidate.get("/workspace.sh").data
    assert response.text.count(f"service={app.config['BASE_URL']}\n") == 2
    assert "@SERVICE@" not in response.text


def test_base_url_is_quoted_in_the_script(app, anonymous, monkeypatch):
    monkeypatch.setitem(app.config, "BASE_URL", "https://assess.example/$(touch x)'y")
    assert """\nservice='https://assess.example/$(touch x)'"'"'y'\n""" in anonymous.get("/workspace.sh").text

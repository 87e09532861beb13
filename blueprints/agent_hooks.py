"""Coding agents' hooks as events (docs/recording.md#hooks-and-telemetry). Requires rules/agents/."""

from collections.abc import Callable
from typing import Any

from flask import g

from access import auth, caller, concurrency, raises, rate_limits
from blueprints import Blueprint, can_record, session_quota
from errors import NotRedeemed, RecordingRequired, SessionClosed
from models import CandidateKey, Session, clock, sessions
from rules.agents import hooks
from schemas.agent_hooks import AgentHook, HookResponse
from web.json import MAX_EVENT_BYTES, body_limit

blp = Blueprint("Agents", __name__, description="Coding agents' hooks.")


def hook_endpoint(path: str) -> Callable:
    """Register a view with the authentication, limits and schemas of hooks."""

    def decorate(view: Any) -> Any:
        view = blp.arguments(AgentHook)(blp.response(200, HookResponse)(view))
        view = raises(RecordingRequired, NotRedeemed, SessionClosed)(view)
        view = concurrency.large_body(body_limit(MAX_EVENT_BYTES)(view))
        view = auth.required(CandidateKey, lookups=auth.CANDIDATE_LOOKUPS)(view)
        return blp.post(path)(rate_limits.limit(rate_limits.INGEST)(view))

    return decorate


@hook_endpoint("/hooks/claude-code")
def record_claude_code_hook(hook):
    """Record a Claude Code hook

    Send the body of an HTTP hook or the input of a command hook. Hooks without a matching event are ignored.
    """
    return _record(hooks.CLAUDE_CODE, g.pop("body"))


@hook_endpoint("/hooks/codex")
def record_codex_hook(hook):
    """Record a Codex hook

    Send the input of a command hook or the argument to `notify`.
    """
    return _record(hooks.CODEX, g.pop("body"))


@hook_endpoint("/hooks/opencode")
def record_opencode_hook(hook):
    """Record a hook of the workspace's opencode plugin

    The plugin reports the start of a session, and commands with their exit codes.
    """
    return _record(hooks.OPENCODE, g.pop("body"))


def _record(tool: str, fields: dict[str, Any]) -> dict[str, Any]:
    session = Session.get_for_key(caller)
    if can_record(session, hooks.CHANNEL) and (read := hooks.read(tool, fields, clock.now())):
        sessions.record(session, read, quota=session_quota())
    return {}

"""The files of a candidate's workspace: the task, the repository, and each AI tool's settings.

`pages/workspace.sh` stores them in `~/.proofstone/<session id>` and copies some into the workspace.
"""

import io
import json
import re
import shlex
import tarfile
from pathlib import PurePosixPath
from typing import Any, NamedTuple

CLAUDE, CODEX, OPENCODE, OTHER = "claude", "codex", "opencode", "other"
PROVIDER_BY_TOOL = {CLAUDE: "anthropic", CODEX: "openai"}
MODEL_PROVIDERS = tuple(PROVIDER_BY_TOOL.values())
# These report events that never reach the proxy, such as rejected tools and durations
# (docs/recording.md#recorded-events).
CLAUDE_HOOKS = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PermissionDenied",
    "PostToolUse",
    "PostToolUseFailure",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "Stop",
    "StopFailure",
    "SessionEnd",
)
# Claude Code would exit before sending these in the background.
SYNCHRONOUS_HOOKS = frozenset({"Stop", "StopFailure", "SessionEnd"})
HOOK_SECONDS = 3
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Workspace(NamedTuple):
    """A session's workspace.

    allowed -- `claude`, `codex` or both; None allows all tools
    providers -- model providers that this service has an API key for
    """

    base_url: str
    session_id: str
    key: str
    allowed: list[str] | None
    providers: frozenset[str]

    @property
    def tools(self) -> list[str]:
        """Allowed tools whose provider is configured."""
        usable = [tool for tool, provider in PROVIDER_BY_TOOL.items() if provider in self.providers]
        if self.allowed is not None:
            return [tool for tool in usable if tool in self.allowed]
        return usable + ([OPENCODE, OTHER] if self.providers else [])

    def path(self, name: str) -> str:
        """Return a session file's path on the candidate's machine, quoted for the shell."""
        return f'"$HOME/.proofstone/{self.session_id}/{name}"'

    def proxy_url(self, provider: str) -> str:
        return f"{self.base_url}/v1/proxy/{provider}"


def hosted_url(base_url: str, repository_token: str | None) -> str | None:
    """Return the URL of a session's hosted repository, which is a secret, or None without a token."""
    return repository_token and f"{base_url}/git/{repository_token}/task.git"


def script_command(base_url: str) -> str:
    """Return the command that prepares a workspace."""
    return f"curl -fsSL {shlex.quote(base_url + '/workspace.sh')} | sh"


def archive(files: dict[str, str]) -> bytes:
    """Create a tar archive of files that only their owner can read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            data = content.encode(errors="replace")
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def build_files(
    workspace: Workspace, task: Any, repo_url: str | None = None, repo_commit: str | None = None
) -> dict[str, str]:
    """Build the workspace's files by name.

    task -- an assessment
    repo_url, repo_commit -- the repository that the session starts from
    """
    files = {"session": f"{workspace.session_id}\n", "TASK.md": _render_task(task)}
    files |= _repository_files(repo_url, repo_commit, task.repo_subdir)
    files["tools"] = "".join(f"{tool}\n" for tool in workspace.tools)
    if CLAUDE in workspace.tools:
        files["claude.json"] = _json(claude_settings(workspace))
        files["otel.json"] = _json({"X-API-Key": workspace.key})
    if CODEX in workspace.tools:
        files["codex.toml"] = codex_settings(workspace)
    if OPENCODE in workspace.tools:
        files["opencode.json"] = _json(opencode_settings(workspace))
        files["opencode.js"] = opencode_plugin(workspace)
    return files


def _repository_files(url: str | None, commit: str | None, subdirectory: str | None) -> dict[str, str]:
    """Build the files that describe the repository. Skips values that git or the shell could misinterpret."""
    if not url or _CONTROL.search(url):
        return {}
    files = {"repository": f"{url}\n"}
    if commit and _COMMIT.fullmatch(commit):
        files["commit"] = f"{commit}\n"
    if subdirectory and is_safe_subdirectory(subdirectory):
        files["subdir"] = f"{subdirectory}\n"
    return files


def is_safe_subdirectory(path: str) -> bool:
    """Return whether a relative path stays inside its base directory and cannot be read as an option."""
    parts = PurePosixPath(path).parts
    return not (_CONTROL.search(path) or path.startswith(("/", "-", "~")) or ".." in parts or ".git" in parts)


def _render_task(task: Any) -> str:
    """Format the task as Markdown."""
    parts = [f"# {' '.join(task.title.split())}", task.task_brief.strip()]
    parts += _brief_sections(task.brief or {})
    if task.setup_instructions:
        parts.append(f"## Setup\n\n{task.setup_instructions.strip()}")
    return "\n\n".join(parts) + "\n"


def _brief_sections(brief: dict[str, Any]) -> list[str]:
    sections = [f"## Scenario\n\n{brief['scenario']}"] if brief.get("scenario") else []
    if codebase := brief.get("codebase"):
        titles = {"name": "Name", "description": "Purpose", "runCommand": "Run", "testCommand": "Test"}
        details = [f"{title}: {codebase[name]}" for name, title in titles.items() if codebase.get(name)]
        details += [f"Stack: {', '.join(codebase['stack'])}"] if codebase.get("stack") else []
        sections.append(f"## Code\n\n{_render_list(details)}")
    for phase in brief.get("phases") or ():
        parts = [phase.get("goal"), _render_list(phase.get("tasks")), _render_list(phase.get("guidance"))]
        sections.append("\n\n".join([f"## {phase.get('name') or 'Step'}", *filter(None, parts)]))
    titles = {"evaluation": "What is assessed", "groundRules": "Rules", "deliverables": "Deliverables"}
    sections += [
        f"## {title}\n\n{_render_list(brief[name])}" for name, title in titles.items() if brief.get(name)
    ]
    return sections


def _render_list(items: list[str] | None) -> str:
    return "\n".join(f"- {item}" for item in items or ())


def claude_settings(workspace: Workspace) -> dict[str, Any]:
    """Build Claude Code's `.claude/settings.local.json`: its model, hooks and telemetry.

    Commands that Claude Code runs inherit its environment, so the key is not stored there.
    """
    environment = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{workspace.base_url}/v1/otlp",
        "OTEL_LOG_USER_PROMPTS": "1",
        "OTEL_LOG_TOOL_DETAILS": "1",
        "ANTHROPIC_BASE_URL": workspace.proxy_url("anthropic"),
        # Empty, so that the candidate's own API key is not sent to this service.
        "ANTHROPIC_API_KEY": "",
        "ANTHROPIC_AUTH_TOKEN": "",
    }
    return {
        "apiKeyHelper": f"cat {workspace.path('key')}",
        "otelHeadersHelper": f"cat {workspace.path('otel.json')}",
        "env": environment,
        "hooks": {event: [{"hooks": [_claude_hook(workspace, event)]}] for event in CLAUDE_HOOKS},
    }


def _claude_hook(workspace: Workspace, event: str) -> dict[str, Any]:
    """Build a command hook. An HTTP hook would need the key in the environment."""
    url = shlex.quote(f"{workspace.base_url}/v1/hooks/claude-code")
    curl = f"curl -sS -m {HOOK_SECONDS} -o /dev/null -H @{workspace.path('header')}"
    command = f"{curl} -H 'Content-Type: application/json' --data-binary @- {url} 2>/dev/null || true"
    hook = {"type": "command", "command": command, "timeout": HOOK_SECONDS + 2}
    return hook if event in SYNCHRONOUS_HOOKS else hook | {"async": True}


def codex_settings(workspace: Workspace) -> str:
    """Build Codex's `config.toml`. It contains the key, so `CODEX_HOME` is outside the workspace.

    `daemon_auto_start` would leave a server running that continues the work after Codex's terminal was closed.
    """
    headers = f'{{ "X-API-Key" = {_toml(workspace.key)} }}'
    endpoint = _toml(f"{workspace.base_url}/v1/otlp/v1/logs")
    return f"""model_provider = "proofstone"
check_for_update_on_startup = false

[model_providers.proofstone]
name = "Proofstone"
base_url = {_toml(workspace.proxy_url("openai") + "/v1")}
wire_api = "responses"
http_headers = {headers}

[features]
daemon_auto_start = false

[otel]
log_user_prompt = true
exporter = {{ otlp-http = {{ endpoint = {endpoint}, protocol = "json", headers = {headers} }} }}
"""


def opencode_settings(workspace: Workspace) -> dict[str, Any]:
    """Build opencode's `opencode.json`, which reads the key from a file."""
    api_key = f"{{file:~/.proofstone/{workspace.session_id}/key}}"
    plugin = f"file://{{env:HOME}}/.proofstone/{workspace.session_id}/opencode.js"
    options = {
        name: {"options": {"baseURL": f"{workspace.proxy_url(name)}/v1", "apiKey": api_key}}
        for name in sorted(workspace.providers)
    }
    return {
        "$schema": "https://opencode.ai/config.json",
        "share": "disabled",
        "autoupdate": False,
        "plugin": [plugin],
        "enabled_providers": list(options),
        "provider": options,
    }


def opencode_plugin(workspace: Workspace) -> str:
    """Build opencode's plugin, which reports exit codes. opencode does not send them to the model.

    The proxy records a subagent in its parent's session.
    """
    url = json.dumps(f"{workspace.base_url}/v1/hooks/opencode")
    return f"""// Reports sessions, and commands with their exit codes, which opencode does not send to the model.
import {{ readFileSync }} from "node:fs"

const key = readFileSync(new URL("key", import.meta.url), "utf8").trim()
const parents = {{}}

function report(hook) {{
  const headers = {{ "Content-Type": "application/json", "X-API-Key": key }}
  const signal = AbortSignal.timeout({HOOK_SECONDS * 1000})
  fetch({url}, {{ method: "POST", headers, body: JSON.stringify(hook), signal }}).catch(() => {{}})
}}

export const Proofstone = async () => ({{
  event: async ({{ event }}) => {{
    if (event.type !== "session.created") return
    const {{ id, parentID }} = event.properties.info
    if (parentID) parents[id] = parentID
    else report({{ hook_event_name: "SessionStart", session_id: id }})
  }},
  "tool.execute.after": async ({{ tool, sessionID, callID, args }}, {{ output, metadata }}) => {{
    if (tool !== "bash") return
    const session = {{ session_id: parents[sessionID] ?? sessionID, agent_id: parents[sessionID] && sessionID }}
    const call = {{ tool_name: tool, tool_use_id: callID, tool_input: args }}
    const result = {{ tool_response: output, exit_code: metadata?.exit }}
    report({{ hook_event_name: "PostToolUse", ...session, ...call, ...result }})
  }},
}})
"""


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"


def _toml(text: str) -> str:
    # An ASCII JSON string is a TOML string, except for surrogates, which URLs and keys do not contain.
    return json.dumps(text)

"""The candidate's workspace with the settings of each tool."""

import json

from tests.agents.scenario import Access
from tests.agents.tools import Machine


def prepare(machine: Machine, access: Access) -> None:
    """Run the workspace's script, as if its first run had fetched the machine's repository."""
    machine.run("git", "config", "proofstone.session", access.session_id)
    machine.run("git", "update-ref", "refs/proofstone/base", "HEAD")
    script = f"curl -fsSL {access.address}/workspace.sh | PROOFSTONE_KEY={access.key} sh"
    machine.run("sh", "-c", script)


def use_own_model(machine: Machine, access: Access) -> None:
    """Prepare the workspace, and change its settings to the candidate's own model, without Claude Code's hooks."""
    prepare(machine, access)
    claude = machine.workspace / ".claude" / "settings.local.json"
    codex = machine.home / ".proofstone" / access.session_id / "codex" / "config.toml"
    for path in (claude, codex, machine.workspace / "opencode.json"):
        text = path.read_text()
        for name in ("anthropic", "openai"):
            text = text.replace(f"{access.address}/v1/proxy/{name}", access.provider)
        path.write_text(text)
    settings = json.loads(claude.read_text())
    del settings["hooks"]
    claude.write_text(json.dumps(settings))

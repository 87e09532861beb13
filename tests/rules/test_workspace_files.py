"""Workspace files for each tool."""

import io
import json
import tarfile
import tomllib
from types import SimpleNamespace

import pytest

from rules import workspace_files
from rules.workspace_files import Workspace, build_files

KEY = "PST-ABCD-2345"
SESSION = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
BOTH = frozenset({"anthropic", "openai"})
WORKSPACE = Workspace("https://assess.example", SESSION, KEY, None, BOTH)
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def task(**values):
    defaults = dict.fromkeys(("repo_subdir", "brief", "setup_instructions"))
    return SimpleNamespace(**({"title": "Orders", "task_brief": "Fix it."} | defaults | values))


@pytest.mark.parametrize(
    ("allowed", "providers", "tools"),
    [
        (None, BOTH, ["claude", "codex", "opencode", "other"]),
        (None, {"openai"}, ["codex", "opencode", "other"]),
        (None, {"anthropic"}, ["claude", "opencode", "other"]),
        (None, set(), []),
        (["claude"], BOTH, ["claude"]),
        (["codex"], BOTH, ["codex"]),
        (["codex"], {"anthropic"}, []),
        (["claude"], {"openai"}, []),
        (["codex", "claude"], BOTH, ["claude", "codex"]),
    ],
)
def test_tools_must_be_allowed_and_have_a_model(allowed, providers, tools):
    workspace = WORKSPACE._replace(allowed=allowed, providers=frozenset(providers))
    assert workspace.tools == tools
    files = build_files(workspace, task())
    assert files["tools"].split() == tools
    for tool, name in (("claude", "claude.json"), ("codex", "codex.toml"), ("opencode", "opencode.json")):
        assert (name in files) == (tool in tools)


def test_only_files_outside_the_workspace_contain_the_key():
    files = build_files(WORKSPACE, task())
    assert {name for name, text in files.items() if KEY in text} == {"otel.json", "codex.toml"}


def test_claude_code_reads_its_key_from_a_file():
    settings = json.loads(build_files(WORKSPACE, task())["claude.json"])
    assert settings["apiKeyHelper"] == f'cat "$HOME/.proofstone/{SESSION}/key"'
    environment = settings["env"]
    assert environment["ANTHROPIC_BASE_URL"] == "https://assess.example/v1/proxy/anthropic"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://assess.example/v1/otlp"
    assert (environment["ANTHROPIC_API_KEY"], environment["ANTHROPIC_AUTH_TOKEN"]) == ("", "")
    for (group,) in settings["hooks"].values():
        (hook,) = group["hooks"]
        assert "https://assess.example/v1/hooks/claude-code" in hook["command"]
        assert f'-H @"$HOME/.proofstone/{SESSION}/header"' in hook["command"]


def test_claude_code_waits_only_for_the_last_hooks():
    hooks = workspace_files.claude_settings(WORKSPACE)["hooks"]
    synchronous = {event for event, (group,) in hooks.items() if not group["hooks"][0].get("async")}
    assert synchronous == {"Stop", "StopFailure", "SessionEnd"}


def test_codex_settings_are_valid_toml():
    workspace = WORKSPACE._replace(base_url='https://assess.example/a"b\\c')
    settings = tomllib.loads(workspace_files.codex_settings(workspace))
    provider = settings["model_providers"][settings["model_provider"]]
    assert provider["base_url"] == 'https://assess.example/a"b\\c/v1/proxy/openai/v1'
    assert provider["http_headers"] == {"X-API-Key": KEY}
    assert settings["features"] == {"daemon_auto_start": False}
    exporter = settings["otel"]["exporter"]["otlp-http"]
    assert exporter["endpoint"] == 'https://assess.example/a"b\\c/v1/otlp/v1/logs'


def test_opencode_uses_configured_providers():
    workspace = WORKSPACE._replace(providers=frozenset({"openai"}))
    settings = json.loads(build_files(workspace, task())["opencode.json"])
    options = {"baseURL": "https://assess.example/v1/proxy/openai/v1"}
    options["apiKey"] = f"{{file:~/.proofstone/{SESSION}/key}}"
    assert settings["provider"] == {"openai": {"options": options}}


def test_opencode_reports_exit_codes_with_a_plugin():
    files = build_files(WORKSPACE._replace(base_url='https://assess.example/a"b'), task())
    assert json.loads(files["opencode.json"])["plugin"] == [
        f"file://{{env:HOME}}/.proofstone/{SESSION}/opencode.js"
    ]
    assert 'fetch("https://assess.example/a\\"b/v1/hooks/opencode"' in files["opencode.js"]


def test_base_urls_are_quoted_for_the_shell():
    workspace = WORKSPACE._replace(base_url="https://assess.example/$(touch x)'y")
    command = workspace_files.claude_settings(workspace)["hooks"]["Stop"][0]["hooks"][0]["command"]
    assert """'https://assess.example/$(touch x)'"'"'y/v1/hooks/claude-code'""" in command
    script = workspace_files.script_command(workspace.base_url)
    assert script == """curl -fsSL 'https://assess.example/$(touch x)'"'"'y/workspace.sh' | sh"""


@pytest.mark.parametrize(
    ("url", "commit", "subdirectory", "names"),
    [
        (None, None, None, set()),
        ("https://git.example/orders", None, None, {"repository"}),
        ("https://git.example/orders", SHA, None, {"repository", "commit"}),
        ("https://git.example/orders", None, "services/orders", {"repository", "subdir"}),
        (None, SHA, "services", set()),
        ("https://git.example/orders\n--upload-pack=x", None, None, set()),
        ("https://git.example/o", "--upload-pack=touch x", None, {"repository"}),
        ("https://git.example/o", f"{SHA}\nx", None, {"repository"}),
        ("https://git.example/o", "$(touch x)", None, {"repository"}),
    ],
)  # fmt: skip
def test_values_that_git_could_misinterpret_are_skipped(url, commit, subdirectory, names):
    files = build_files(WORKSPACE, task(repo_subdir=subdirectory), url, commit)
    assert files.keys() & {"repository", "commit", "subdir"} == names
    assert all(len(files[name].splitlines()) == 1 for name in names)


@pytest.mark.parametrize(
    ("path", "is_safe"),
    [
        ("services/orders", True), ("a b", True), ("..a", True), ("./a", True),
        ("../x", False), ("a/../../x", False), ("/etc", False), ("-x", False), ("~/x", False), ("a\nb", False),
        (".git/hooks", False), ("a/.git", False),
    ],
)  # fmt: skip
def test_unsafe_subdirectories_are_detected(path, is_safe):
    assert workspace_files.is_safe_subdirectory(path) is is_safe


def test_the_task_contains_the_brief():
    brief = {
        "scenario": "Orders disappear.",
        "codebase": {"name": "orders", "testCommand": "make test", "stack": ["Go", "PostgreSQL"]},
        "phases": [{"name": "Find the cause", "goal": "You know why.", "tasks": ["Lose an order."]}, {}],
        "groundRules": ["AI tools are allowed."],
    }
    assert build_files(WORKSPACE, task(brief=brief, setup_instructions="make setup"))["TASK.md"] == (
        "# Orders\n\nFix it.\n\n## Scenario\n\nOrders disappear.\n\n"
        "## Code\n\n- Name: orders\n- Test: make test\n- Stack: Go, PostgreSQL\n\n"
        "## Find the cause\n\nYou know why.\n\n- Lose an order.\n\n## Step\n\n"
        "## Rules\n\n- AI tools are allowed.\n\n## Setup\n\nmake setup\n"
    )


def test_archived_files_are_private_and_can_contain_any_text():
    packed = workspace_files.archive({"TASK.md": "# Größe \ud800\n", "session": f"{SESSION}\n"})
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert {entry.name: entry.mode for entry in tar} == {"TASK.md": 0o600, "session": 0o600}
        assert tar.extractfile("TASK.md").read().decode() == "# Größe ?\n"

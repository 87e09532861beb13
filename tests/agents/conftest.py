"""A service on each database with a scripted provider, and a recording of each scenario."""

from functools import partial
from pathlib import Path

import pytest

from tests.agents import claude_code, codex, opencode, settings
from tests.agents.provider import Provider
from tests.agents.recording import record
from tests.agents.tools import Machine
from tests.agents.workspace import FILES
from tests.live.service import HOST, Service
from tests.servers import free_port

IN_WORKSPACE = {"set_up": settings.prepare}
WITH_OWN_MODEL = {"set_up": settings.use_own_model}
SCENARIOS = {
    "claude": claude_code.headless,
    "claude_workspace": partial(claude_code.headless, name="claude_workspace", **IN_WORKSPACE),
    "terminal": claude_code.in_a_terminal,
    "terminal_workspace": partial(claude_code.in_a_terminal, name="terminal_workspace", **IN_WORKSPACE),
    "codex": codex.headless,
    "codex_workspace": partial(codex.headless, name="codex_workspace", **IN_WORKSPACE),
    "messages": opencode.over_messages,
    "chat": opencode.over_chat_completions,
}
UNPROXIED = {
    "claude_unproxied": partial(claude_code.headless, **WITH_OWN_MODEL),
    "codex_unproxied": partial(codex.headless, **WITH_OWN_MODEL),
    "opencode_unproxied": opencode.with_own_model,
}
FOLDER = Path(__file__).parent
# Agents are slow, and their requests do not depend on the database.
ON_SQLITE = {"claude_workspace", "terminal_workspace", "codex_workspace", "messages", *UNPROXIED}


# Before pytest-xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in tuple(items):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        scenario = parameters.get("recording") or parameters.get("unproxied")
        if scenario and (parameters["database_url"] == "sqlite") != (scenario in ON_SQLITE):
            items.remove(item)
        elif item.path.parent == FOLDER and "database_url" in parameters:
            # One process plays a database's scenarios, because its tests share their recordings.
            item.add_marker(pytest.mark.xdist_group(f"agents on {parameters['database_url']}"))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request, tmp_path_factory):
    """Create a separate database: the service's transactions are not rolled back."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('agents')}/proofstone.db"
    return request.getfixturevalue("postgres_server").create_database("proofstone_agents")


@pytest.fixture(scope="session")
def provider():
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def service(database_url, provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    port = free_port()
    variables = {
        "BASE_URL": f"http://{HOST}:{port}",
        "ANTHROPIC_BASE_URL": provider.address, "ANTHROPIC_API_KEY": "sk-ant-service",
        "OPENAI_BASE_URL": f"{provider.address}/v1", "OPENAI_API_KEY": "sk-service",
    }  # fmt: skip
    with Service(folder, database_url, **variables).start(processes=2, port=port) as service:
        service.flask("storage", "adopt")  # other tests' services share the database
        yield service


@pytest.fixture(scope="session")
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture(scope="session", params=SCENARIOS)
def recording(request, provider, service, reviewer, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    scenario = SCENARIOS[request.param](folder / "workspace")
    return record(scenario, Machine(folder, FILES), provider, service, reviewer)


@pytest.fixture(scope="session", params=UNPROXIED)
def unproxied(request, provider, service, reviewer, tmp_path_factory):
    """The recording of an agent that calls the provider directly: only telemetry, or opencode's plugin, reports."""
    folder = tmp_path_factory.mktemp(request.param)
    scenario = UNPROXIED[request.param](folder / "workspace")
    return record(scenario, Machine(folder, FILES), provider, service, reviewer, is_proxied=False)

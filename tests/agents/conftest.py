"""A service on each database with a scripted provider, and a recording of each scenario."""

import pytest

from tests.agents import claude_code, codex, opencode
from tests.agents.provider import Provider
from tests.agents.recording import record
from tests.agents.tools import Machine
from tests.agents.workspace import FILES
from tests.live.service import Service

SCENARIOS = {
    "claude": claude_code.headless,
    "terminal": claude_code.in_a_terminal,
    "codex": codex.headless,
    "messages": opencode.over_messages,
    "chat": opencode.over_chat_completions,
}
# opencode is slow, and its requests do not depend on the database.
ON_ONE_DATABASE = {"messages": "sqlite", "chat": "postgresql"}


def pytest_collection_modifyitems(items):
    for item in tuple(items):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        database = ON_ONE_DATABASE.get(parameters.get("recording"))
        if database and parameters["database_url"] != database:
            items.remove(item)


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
    settings = {
        "ANTHROPIC_BASE_URL": provider.address, "ANTHROPIC_API_KEY": "sk-ant-service",
        "OPENAI_BASE_URL": f"{provider.address}/v1", "OPENAI_API_KEY": "sk-service",
    }  # fmt: skip
    with Service(folder, database_url, **settings).start(processes=2) as service:
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

"""Services on each database: one for all tests, and separate installations.

The shared service is not rolled back: each test uses its own assessment.
"""

import os

import postgres
import pytest
from factories import make_repository

import models
from rules.ledger.keys import parse_keys
from storage import FolderStorage
from tests.live.candidate_machine import REPOSITORY, Machine
from tests.live.cast import ASSESSMENT, make_assessment, make_candidate, make_keys, start_session
from tests.live.service import LEDGER_KEYS, Service

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# On SQLite, the web process's memory includes the database's.
ON_SQLITE_ONLY = ("test_memory.py",)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def live_database_url(request, tmp_path_factory):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('live')}/proofstone.db"
    return request.getfixturevalue("postgres_server").create_database(f"proofstone_live_{WORKER}")


@pytest.fixture(scope="session")
def service(live_database_url, tmp_path_factory):
    # A workspace offers only tools whose provider has a key. No test calls the provider.
    provider = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "sk-ant-ours"}
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, live_database_url, **provider).start(processes=2) as service:
        service.flask("storage", "adopt")  # other tests' services share the database
        yield service


@pytest.fixture(scope="module")
def running_worker(service):
    with service.worker() as worker:
        yield worker


@pytest.fixture(scope="session")
def reviewer(service):
    """A reviewer of an organization without a quota."""
    return service.organization("Acme")


@pytest.fixture
def assessment(reviewer):
    return make_assessment(reviewer)


@pytest.fixture
def candidate(service, reviewer, assessment):
    return make_candidate(service, reviewer, assessment)


@pytest.fixture
def machine(service, tmp_path) -> Machine:
    return Machine(tmp_path, f"http://127.0.0.1:{service.port}")


@pytest.fixture
def key(service, reviewer, machine) -> str:
    """A started session's key, with REPOSITORY."""
    sha = machine.commit(orders_py="print(1)\n", _gitignore="build/\n")
    machine.commit(orders_py="later\n")
    body = {"title": "Orders", "taskBrief": "Fix it.", "repoUrl": REPOSITORY, "repoCommit": sha}
    issue = reviewer.post("/v1/issues", body)["issue"]
    assessment = reviewer.post("/v1/assessments", ASSESSMENT | {"issueId": issue["id"]})["assessment"]
    key = make_keys(reviewer, assessment, 1)[0]["key"]
    start_session(service, key)
    return key


@pytest.fixture
def empty_key(service, reviewer, assessment) -> str:
    """A started session's key, without a repository."""
    key = make_keys(reviewer, assessment, 1)[0]["key"]
    start_session(service, key)
    return key


@pytest.fixture
def host_repository(service, bind):
    """A function that hosts a repository with these files for an assessment."""

    def host(assessment, files) -> models.TaskFile:
        bind(service.database_url)
        store = FolderStorage(service.folder / "bundles", "", bytes)
        return make_repository(models.Assessment.get_by_id(assessment["id"]), files, store)

    return host


@pytest.fixture
def empty_outbox(service):
    service.execute("DELETE FROM deliveries")


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request, tmp_path):
    """A service that is not started, on an empty database."""
    if request.param == "sqlite":
        yield Service(tmp_path)
        return
    server, name = request.getfixturevalue("postgres_server"), f"installation_{WORKER}"
    yield Service(tmp_path, server.create_database(name))
    server.drop_database(name)


@pytest.fixture
def own_server():
    """A PostgreSQL server that the test can stop, fill and replicate."""
    with postgres.start(tcp=True) as server:
        if not server.can_restart:
            pytest.skip("The tests do not control TEST_DATABASE_URL's server.")
        yield server


@pytest.fixture
def bind():
    """Bind this process's models to a database for the test."""
    before = models.db.obj
    models.ledger_keys.use(parse_keys(LEDGER_KEYS))
    yield models.bind
    models.db.close_all()
    if before is not None:
        models.db.initialize(before)


def pytest_collection_modifyitems(items):
    for item in tuple(items):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if item.path.name in ON_SQLITE_ONLY and parameters.get("installation") == "postgresql":
            items.remove(item)
        # Quick tests only use PostgreSQL, which allows more concurrency.
        if parameters.get("live_database_url") == "sqlite":
            item.add_marker(pytest.mark.slow)

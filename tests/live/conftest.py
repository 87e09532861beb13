"""A service with several processes on each database, shared by the tests of a run.

Nothing is rolled back: each test uses its own assessment.
"""

import os

import pytest

from tests.live.cast import make_assessment
from tests.live.service import Service

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# On SQLite these are slow tests; PostgreSQL, which allows more concurrency, is enough for the quick suite.
QUICK_ON_POSTGRESQL = ("test_client.py", "test_at_once.py")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def live_database_url(request, tmp_path_factory):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('live')}/proofstone.db"
    return request.getfixturevalue("postgres_server").create_database(f"proofstone_live_{WORKER}")


@pytest.fixture(scope="session")
def service(live_database_url, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service"), live_database_url).start(processes=2) as service:
        yield service


@pytest.fixture(scope="session")
def reviewer(service):
    """A reviewer of an organization without a quota."""
    return service.organization("Acme")


@pytest.fixture
def assessment(reviewer):
    return make_assessment(reviewer)


def pytest_collection_modifyitems(items):
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if item.path.name in QUICK_ON_POSTGRESQL and parameters.get("live_database_url") == "sqlite":
            item.add_marker(pytest.mark.slow)

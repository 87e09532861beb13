"""The cast over real HTTP: one service of several processes on each database, shared by these tests.

Nothing is rolled back here: each test makes its own assessment, and looks at nothing else.
"""

import os

import pytest

from tests.live.cast import make_assessment
from tests.live.service import Service

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


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
    """An assessment without a time limit, as the API shows it."""
    return make_assessment(reviewer)


def pytest_collection_modifyitems(items):
    """What takes a while on both databases is quick on PostgreSQL alone, the stricter one, and slow on SQLite."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if item.path.name in QUICK_ON_POSTGRESQL and parameters.get("live_database_url") == "sqlite":
            item.add_marker(pytest.mark.slow)

"""Two organizations with one row of every resource, and a real service with verbose logs."""

import os

import pytest

from tests.hostile.sockets import RawClient
from tests.hostile.world import World
from tests.live import cast
from tests.live.service import Service

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
VERBOSE = "--access-logfile - --log-level debug"


class VerboseService(Service):
    """A service with access logs and debug messages."""

    def spawn(self, command, pass_fds=(), **settings):
        if "GUNICORN_CMD_ARGS" in settings:
            settings["GUNICORN_CMD_ARGS"] += f" {VERBOSE}"
        return super().spawn(command, pass_fds, **settings)


@pytest.fixture
def world(app, clock):
    return World(app)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def service(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    url = f"sqlite:///{folder}/proofstone.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database(f"proofstone_hostile_{WORKER}")
    with VerboseService(folder, url, LOG_LEVEL="DEBUG", LOG_FORMAT="json").start(processes=1) as service:
        yield service


@pytest.fixture(scope="session")
def live_reviewer(service):
    return service.organization("Acme")


@pytest.fixture(scope="session")
def raw(service, live_reviewer):
    """A raw client with a token and an open session's key."""
    (key,) = cast.make_keys(live_reviewer, cast.make_assessment(live_reviewer), 1)
    session_id = cast.start_session(service, key["key"])
    token = live_reviewer.headers["Authorization"].split()[1]
    return RawClient(service.port, token, key["key"], session_id)

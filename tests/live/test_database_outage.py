"""The database goes away and comes back: 503 in between, and no process has to be restarted."""

import subprocess
import time
from contextlib import closing

import pytest

from tests.live.cast import ASSESSMENT, make_assessment
from tests.live.client import Load
from tests.live.load import Callers, assert_unavailable
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def own_service(own_server, tmp_path):
    with Service(tmp_path, own_server.create_database("proofstone")).start(processes=2) as service:
        yield service


def test_requests_are_503_during_an_outage_and_succeed_after_it(own_service, own_server):
    callers = Callers(own_service)
    with own_service.worker(), Load(callers.calls):
        callers.wait_for_successes()
        before = time.monotonic()
        own_server.kill()
        # At first requests wait some seconds for a restart; later no thread waits.
        wait_until(
            lambda: sum(it.ended_at - it.started_at < 0.5 for it in callers.refused) > 20,
            "Requests are not refused immediately.",
        )
        assert callers.reviewer.get("/v1/health").status == 200
        own_server.start()
        after = time.monotonic()
        callers.wait_for_successes()
        callers.assert_worker_delivers()
    callers.assert_refused_with_503_and_nothing_lost()
    assert all(it.started_at < after and it.ended_at > before for it in callers.refused)


def test_the_service_is_not_ready_until_the_database_is_back(own_service, own_server):
    def readiness():
        return own_service.anonymous.get("/v1/ready")

    assert readiness().status == 200
    own_server.kill()
    wait_until(lambda: readiness().status == 503, "The service says that it is ready.")
    response = readiness()
    assert response["parts"] == {"database": "unavailable", "migrations": "unknown", "storage": "ok"}
    assert int(response.headers["Retry-After"]) > 0
    with pytest.raises(subprocess.CalledProcessError) as failed:
        own_service.flask("doctor")
    assert "\nerror   database: " in failed.value.stdout
    own_server.start()
    wait_until(lambda: readiness().status == 200, "The service does not get ready.")


def test_writes_are_503_while_another_program_locks_the_sqlite_file(tmp_path):
    with Service(tmp_path).start() as service:
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        with closing(service.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            assert_unavailable(reviewer.post("/v1/assessments", ASSESSMENT))
            # Readers do not wait for writers.
            assert reviewer.get(f"/v1/assessments/{assessment['id']}").status == 200
            connection.rollback()
        assert reviewer.post("/v1/assessments", ASSESSMENT).status == 201
        assert len(reviewer.get("/v1/assessments")["assessments"]) == 2

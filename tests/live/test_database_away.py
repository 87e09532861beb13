"""The database goes away and comes back: 503 while it is away, and nobody has to restart anything."""

import subprocess
import time
from contextlib import closing

import postgres
import pytest

from tests.live.cast import ASSESSMENT, event, invite, list_keys, make_assessment, make_keys, start_session
from tests.live.client import Load
from tests.live.service import Service, wait_until

ALICE = "alice@example.com"


@pytest.fixture
def server():
    """A PostgreSQL of the test's own, that can be stopped and started."""
    with postgres.start(tcp=True) as server:
        if not server.can_restart:
            pytest.skip("The server that TEST_DATABASE_URL names cannot be restarted from here.")
        yield server


@pytest.fixture
def own_service(server, tmp_path):
    with Service(tmp_path, server.create_database("proofstone")).start(processes=2) as service:
        yield service


class Busy:
    """Reviewers who read and create, candidates whose events come in; keeps every answer, and from when to when."""

    def __init__(self, service):
        self.reviewer = service.organization("Acme")
        self.assessment = make_assessment(self.reviewer)
        self.keys = make_keys(self.reviewer, self.assessment, 3)
        self.sessions = [start_session(service, key["key"]) for key in self.keys]
        self.candidates = [service.candidate(key["key"]) for key in self.keys]
        self.answers = []

    def calls(self):
        ingests = [lambda it=it: it.post("/v1/hooks/ingest", event()) for it in self.candidates]
        reads = [lambda: self.reviewer.get("/v1/candidates")] * 2
        creates = [lambda: self.reviewer.post("/v1/assessments", ASSESSMENT)] * 2
        return [lambda call=call: self._note(call) for call in (*ingests, *reads, *creates)]

    def _note(self, call):
        began = time.monotonic()
        answer = call()
        self.answers.append((began, time.monotonic(), answer))

    def work_well(self, answers=200):
        """Wait for that many further answers that are no refusals."""
        enough = len(self.answers) - len(self.refusals()) + answers
        wait_until(lambda: len(self.answers) - len(self.refusals()) > enough, "Nothing is done any more.")

    def refusals(self):
        return [it for it in list(self.answers) if it[2].status not in (200, 201)]

    def refused_at_once(self):
        return sum(ended - began < 0.5 for began, ended, _ in self.refusals())

    def assert_nothing_acknowledged_is_lost(self):
        created = sum(answer.status == 201 and "assessment" in answer.json for _, _, answer in self.answers)
        listed = self.reviewer.get("/v1/assessments")["assessments"]
        ingested = sum(answer.status == 201 and "ok" in answer.json for _, _, answer in self.answers)
        shown = [self.reviewer.get(f"/v1/sessions/{it}")["eventCount"] for it in self.sessions]
        # What was committed as the connection broke is there without having been acknowledged.
        assert 0 <= len(listed) - 1 - created <= len(self.refusals())
        assert 0 <= sum(shown) - ingested <= len(self.refusals())


def assert_refused_only(busy, before, after):
    """Between these moments of the monotonic clock, with 503, and nothing that was acknowledged is lost."""
    for began, ended, answer in busy.refusals():
        assert_unavailable(answer)
        assert began < after
        assert ended > before
    busy.assert_nothing_acknowledged_is_lost()


def assert_unavailable(answer):
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"] == "application/json"
    assert answer["code"] == "unavailable"


@pytest.mark.slow
def test_a_restart_under_load_costs_a_few_503s_and_only_while_it_lasts(own_service, server):
    busy = Busy(own_service)
    with own_service.worker(), Load(busy.calls()):
        busy.work_well()
        before = time.monotonic()
        server.restart()
        after = time.monotonic()
        busy.work_well()
        assert_worker_delivers(busy)
    assert_refused_only(busy, before, after)


@pytest.mark.slow
def test_a_crash_and_a_long_outage_are_answered_with_503_until_it_is_back(own_service, server):
    busy = Busy(own_service)
    with own_service.worker(), Load(busy.calls()):
        busy.work_well()
        before = time.monotonic()
        server.kill()
        # At first requests wait some seconds for a restart, then no thread is kept any longer.
        wait_until(lambda: busy.refused_at_once() > 20, "Requests are not refused at once.")
        assert own_service.responds(within_seconds=1)
        server.start()
        after = time.monotonic()
        busy.work_well()
        assert_worker_delivers(busy)
    assert_refused_only(busy, before, after)


@pytest.mark.slow
def test_the_service_is_not_ready_until_the_database_is_back(own_service, server):
    def ready():
        return own_service.anonymous.get("/v1/ready")

    assert ready().status == 200
    server.kill()
    told = wait_until(lambda: (answer := ready()).status == 503 and answer, "It says that it is ready.")
    assert told["parts"] == {"database": "unavailable", "migrations": "unknown", "storage": "ok"}
    assert int(told.headers["Retry-After"]) > 0
    with pytest.raises(subprocess.CalledProcessError) as failed:
        own_service.flask("doctor")
    assert "\nerror   database: " in failed.value.stdout
    server.start()
    wait_until(lambda: ready().status == 200, "It does not get ready again.")


def assert_worker_delivers(busy):
    invite(busy.reviewer, busy.assessment, ALICE)
    wait_until(lambda: invitation(busy)["state"] == "saved", "The worker delivers no more.")


def invitation(busy):
    return next(key["invite"] for key in list_keys(busy.reviewer, busy.assessment) if key["candidateEmail"])


@pytest.mark.slow
def test_a_locked_sqlite_file_is_answered_with_503_until_it_is_free(tmp_path):
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start() as service:
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        with closing(service.connect()) as holder:
            holder.execute("BEGIN IMMEDIATE")
            assert_unavailable(reviewer.post("/v1/assessments", ASSESSMENT))
            # Readers do not wait for writers.
            assert reviewer.get(f"/v1/assessments/{assessment['id']}").status == 200
            holder.rollback()
        assert reviewer.post("/v1/assessments", ASSESSMENT).status == 201
        assert len(reviewer.get("/v1/assessments")["assessments"]) == 2

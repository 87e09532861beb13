"""kill -9 of a worker at every stage of a delivery: it is delivered at least once, always with the same id."""

import os
import signal
from contextlib import closing, contextmanager

import pytest

from tests.live.cast import invite, make_assessment
from tests.live.service import HOST, TIMEOUT_SECONDS, Service, is_running, wait_until
from tests.live.stages import MailReceiver, WebhookReceiver, listening

STAGES = ("connected", "data", "accepted")
EMAIL = "alice@example.com"


@pytest.fixture(params=["sqlite", "postgresql"])
def own_service(request, tmp_path):
    """A service without other deliveries in its database."""
    url = f"sqlite:///{tmp_path}/proofstone.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database(f"killed_{os.getpid()}")
    with Service(tmp_path, url, WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8").start(processes=1) as service:
        yield service


class Queue:
    """The table with the one delivery, and the workers that are killed during it."""

    def __init__(self, service, table, stages, **settings):
        self.service, self.table, self.stages, self.settings = service, table, stages, settings

    def worker(self):
        return self.service.worker(**self.settings)

    @property
    def row(self):
        ((state, attempts),) = self.service.execute(f"SELECT state, attempts FROM {self.table}")
        return state, attempts

    def expire_lease(self):
        leased = f"SELECT 1 FROM {self.table} WHERE due_at > %s"
        assert self.service.execute(leased, self.service.stored_time(seconds_ago=0))
        self.service.execute(f"UPDATE {self.table} SET due_at = created_at")

    @contextmanager
    def locked(self):
        """Block writes to the table."""
        with closing(self.service.connect()) as connection:
            if self.service.is_postgres:
                connection.cursor().execute(f"LOCK TABLE {self.table} IN EXCLUSIVE MODE")
            else:
                connection.execute("BEGIN IMMEDIATE")
            yield
            if self.service.is_postgres:
                # PostgreSQL would still run the statement of the killed worker.
                self.service.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE NOT granted")
            connection.rollback()

    def wait_for_blocked_worker(self):
        # SQLite cannot show who waits for a lock.
        if self.service.is_postgres:
            blocked = "SELECT 1 FROM pg_locks WHERE NOT granted"
            wait_until(lambda: self.service.execute(blocked), "Nothing waits for the lock.")

    def kill_before_the_claim(self):
        with self.locked(), self.worker() as worker:
            self.wait_for_blocked_worker()
            kill(worker)

    def kill_at(self, stage):
        pause = self.stages.pause_at(stage)
        with self.worker() as worker:
            assert pause.reached.wait(TIMEOUT_SECONDS), stage
            kill(worker)
        self.stages.resume(pause)

    def kill_before_the_outcome_is_recorded(self):
        accepted, disconnected = self.stages.pause_at("accepted"), self.stages.pause_at("disconnected")
        with self.worker() as worker:
            assert accepted.reached.wait(TIMEOUT_SECONDS)
            with self.locked():
                accepted.resumed.set()
                assert disconnected.reached.wait(TIMEOUT_SECONDS)
                self.wait_for_blocked_worker()
                kill(worker)
        self.stages.resume(disconnected)

    def check(self, final_state):
        """Kill a worker at each stage, then let one deliver the message."""
        self.kill_before_the_claim()
        assert self.row == ("queued", 0)
        for stage in STAGES:
            self.kill_at(stage)
            self.expire_lease()
        self.kill_before_the_outcome_is_recorded()
        assert self.row == ("queued", len(STAGES) + 1)
        self.expire_lease()
        with self.worker():
            wait_until(lambda: self.row[0] == final_state, "It is not delivered.")
        assert self.row == (final_state, len(STAGES) + 2)
        # Accepted twice from killed workers, then from the last one.
        assert len(self.stages.received) >= 3
        assert len(set(self.stages.received)) == 1


def kill(worker):
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(worker.pid), "The worker was not killed.")


@pytest.mark.slow
def test_a_mail_is_delivered_with_one_message_id(own_service):
    reviewer, stages = own_service.organization("Acme"), MailReceiver()
    with listening(stages) as port:
        invite(reviewer, make_assessment(reviewer), EMAIL)
        Queue(own_service, "deliveries", stages, SMTP_URL=f"smtp://{HOST}:{port}").check("sent")


@pytest.mark.slow
def test_a_webhook_message_is_delivered_with_one_id(own_service):
    reviewer, stages = own_service.organization("Acme"), WebhookReceiver()
    with listening(stages) as port:
        hook = reviewer.post("/v1/webhooks", {"url": f"http://{HOST}:{port}/", "types": ["key.created"]})
        assert hook.status == 201, hook.text
        assert reviewer.post(f"/v1/webhooks/{hook['webhook']['id']}/test").status == 202
        Queue(own_service, "webhook_deliveries", stages).check("delivered")

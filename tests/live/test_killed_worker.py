"""kill -9 of a worker at every stage of a delivery: it arrives at least once, under one id, and nothing stays."""

import os
import signal
from contextlib import closing, contextmanager

import pytest

from tests.live.cast import invite, make_assessment
from tests.live.service import HOST, PATIENCE_SECONDS, Service, is_running, wait_until
from tests.live.stages import HookStages, MailStages, listening

STAGES = ("connected", "data", "accepted")
EMAIL = "alice@example.com"


@pytest.fixture(params=["sqlite", "postgresql"])
def own_service(request, tmp_path):
    """A service whose database has no other deliveries in it."""
    url = f"sqlite:///{tmp_path}/proofstone.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database(f"killed_{os.getpid()}")
    with Service(tmp_path, url, WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8").start(processes=1) as service:
        yield service


class Outbox:
    """The one delivery that workers are killed over, in its table."""

    def __init__(self, service, table, **settings):
        self.service, self.table, self.settings = service, table, settings

    @property
    def row(self):
        ((state, attempts),) = self.service.execute(f"SELECT state, attempts FROM {self.table}")
        return state, attempts

    def make_due(self):
        """As if the lease were over."""
        self.service.execute(f"UPDATE {self.table} SET due_at = created_at")

    def is_leased(self):
        due = f"SELECT 1 FROM {self.table} WHERE due_at > %s"
        return bool(self.service.execute(due, self.service.moment(seconds_ago=0)))

    @contextmanager
    def locked(self):
        """Nobody else can write to the table meanwhile."""
        with closing(self.service.connect()) as holder:
            if self.service.is_postgres:
                holder.cursor().execute(f"LOCK TABLE {self.table} IN EXCLUSIVE MODE")
            else:
                holder.execute("BEGIN IMMEDIATE")
            yield
            self._end_what_nobody_waits_for()
            holder.rollback()

    def _end_what_nobody_waits_for(self):
        """PostgreSQL would still do what it was asked by a worker that is dead by now: that were another stage."""
        if self.service.is_postgres:
            self.service.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE NOT granted")

    def wait_until_somebody_waits(self):
        # SQLite tells nobody who waits.
        if self.service.is_postgres:
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
            wait_until(lambda: self.service.execute(waiting), "Nobody waits for the lock.")


def kill(worker):
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(worker.pid), "The worker was not killed.")


def kill_before_it_claims(outbox):
    with outbox.locked(), outbox.service.worker(**outbox.settings) as worker:
        outbox.wait_until_somebody_waits()
        kill(worker)


def kill_at(outbox, stages, stage):
    gate = stages.gate_at(stage)
    with outbox.service.worker(**outbox.settings) as worker:
        assert gate.reached.wait(PATIENCE_SECONDS), stage
        kill(worker)
    stages.let_go(gate)


def kill_while_it_notes(outbox, stages):
    accepted, left = stages.gate_at("accepted"), stages.gate_at("left")
    with outbox.service.worker(**outbox.settings) as worker:
        assert accepted.reached.wait(PATIENCE_SECONDS)
        with outbox.locked():
            accepted.opened.set()
            assert left.reached.wait(PATIENCE_SECONDS)
            outbox.wait_until_somebody_waits()
            kill(worker)
    stages.let_go(left)


def die_at_every_stage(outbox, stages, end):
    """Kill a worker at each stage, with the one delivery in hand; then let one deliver it."""
    kill_before_it_claims(outbox)
    assert outbox.row == ("queued", 0)
    for stage in STAGES:
        kill_at(outbox, stages, stage)
        assert outbox.is_leased()
        outbox.make_due()
    kill_while_it_notes(outbox, stages)
    assert outbox.row == ("queued", len(STAGES) + 1)
    outbox.make_due()
    with outbox.service.worker(**outbox.settings):
        wait_until(lambda: outbox.row[0] == end, "It is not delivered.")
    assert outbox.row == (end, len(STAGES) + 2)
    # Taken and not noted by those who were killed, then by the one who lived.
    assert len(stages.taken) >= 3
    assert len(set(stages.taken)) == 1


@pytest.mark.slow
def test_a_mail_survives_its_workers_under_one_message_id(own_service):
    reviewer, stages = own_service.organization("Acme"), MailStages()
    with listening(stages) as port:
        invite(reviewer, make_assessment(reviewer), EMAIL)
        die_at_every_stage(
            Outbox(own_service, "deliveries", SMTP_URL=f"smtp://{HOST}:{port}"), stages, "sent"
        )


@pytest.mark.slow
def test_a_webhook_survives_its_workers_under_one_id(own_service):
    reviewer, stages = own_service.organization("Acme"), HookStages()
    with listening(stages) as port:
        hook = reviewer.post("/v1/webhooks", {"url": f"http://{HOST}:{port}/", "types": ["key.created"]})
        assert hook.status == 201, hook.text
        hook_id = hook["webhook"]["id"]
        assert reviewer.post(f"/v1/webhooks/{hook_id}/test").status in (201, 202)
        die_at_every_stage(Outbox(own_service, "webhook_deliveries"), stages, "delivered")

"""Idempotency-Key over several processes: who waits, for how long, and what a kill -9 in between does."""

import hashlib
import os
import signal
import time
from contextlib import contextmanager
from itertools import count

import pytest

from tests.live.cast import ASSESSMENT
from tests.live.client import CONNECTION_ERRORS, Client, Load
from tests.live.service import wait_until

CALLERS = 6
LONGEST_PATIENCE_SECONDS = 14


def under(reviewer, key):
    return Client(reviewer.port, **reviewer.headers, **{"Idempotency-Key": key})


def titles(reviewer):
    return [assessment["title"] for assessment in reviewer.get("/v1/assessments")["assessments"]]


@contextmanager
def somebody_at_work(service, reviewer, key):
    """A request under the same key that never comes to its end; on SQLite any write that does not."""
    token_id = reviewer.get("/v1/me")[
        "id"
    ]  # which also notes the token's use, so that nothing else has to wait
    connection = service.connect()
    if service.is_postgres:
        connection.cursor().execute(
            "INSERT INTO idempotent_requests (id, created_at, reviewer_id, fingerprint, digest) "
            "VALUES (gen_random_uuid(), now(), %s, %s, '')",
            (token_id, hashlib.sha256(key.encode()).hexdigest()),
        )
    else:
        connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.slow
def test_who_waited_ten_seconds_in_vain_is_told_to_come_again(service, reviewer):
    sender = under(reviewer, "stuck")
    with somebody_at_work(service, reviewer, "stuck"):
        began = time.monotonic()
        answer = sender.post("/v1/assessments", ASSESSMENT | {"title": "Stuck"})
        assert (answer.status, answer["code"]) == (409, "in_progress")
        assert int(answer.headers["Retry-After"]) > 0
        assert 10 <= time.monotonic() - began < LONGEST_PATIENCE_SECONDS
    assert sender.post("/v1/assessments", ASSESSMENT | {"title": "Stuck"}).status == 201
    assert titles(reviewer).count("Stuck") == 1


@pytest.mark.slow
@pytest.mark.parametrize("kills", [20])
def test_who_asks_until_an_answer_comes_gets_one_assessment_whatever_is_killed(service, kills):
    reviewer = service.organization("Gamma")
    persistent = Persistent(reviewer)
    with Load([persistent.create_one] * CALLERS):
        for _ in range(kills):
            kill_one(service, persistent)
    made = titles(reviewer)
    assert len(made) == len(set(made))
    assert persistent.answered == {title: made.count(title) for title in persistent.answered}


class Persistent:
    """Creates assessments, each with a key and a title of its own, and asks again whenever the answer is lost."""

    def __init__(self, reviewer):
        self.reviewer = reviewer
        self.numbers = count()
        self.answered = {}

    def create_one(self):
        title = f"Number {next(self.numbers)}"
        sender = under(self.reviewer, title.replace(" ", "-"))
        assert wait_until(lambda: self._asked(sender, title), "No answer comes.") == 201
        self.answered[title] = 1

    @staticmethod
    def _asked(sender, title):
        try:
            return sender.post("/v1/assessments", ASSESSMENT | {"title": title}).status
        except CONNECTION_ERRORS:
            return None


def kill_one(service, persistent):
    victim, answered = service.web_processes()[0], len(persistent.answered)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in service.web_processes(), "The process is still there.")
    wait_until(lambda: len(persistent.answered) > answered + CALLERS, "Nothing is answered any more.")

"""kill -9 of a web process in the middle of generating keys: the whole batch or none of it (R15)."""

import os
import signal
from collections import Counter
from itertools import count

import pytest

from tests.live.cast import invite
from tests.live.client import CONNECTION_ERRORS, Load
from tests.live.service import wait_until

BATCH = 50
CALLERS = 6


@pytest.mark.parametrize("kills", [1, pytest.param(15, marks=pytest.mark.slow)])
def test_a_batch_is_there_as_a_whole_or_not_at_all(service, reviewer, assessment, kills):
    batches = Batches(reviewer, assessment)
    with Load([batches.issue_one] * CALLERS):
        for _ in range(kills):
            kill_one_at_work(service, batches)
    assert_all_or_none(service, assessment, batches)


class Batches:
    """Batches of keys that are asked for, known by the candidates' name; which were answered, and which lost."""

    def __init__(self, reviewer, assessment):
        self.reviewer, self.assessment = reviewer, assessment
        self.numbers = count()
        self.answered = {}
        self.lost = []

    def issue_one(self):
        name = f"Batch {next(self.numbers)}"
        addresses = [f"candidate{number}@example.com" for number in range(BATCH)]
        try:
            answer = invite(self.reviewer, self.assessment, *addresses, candidateNames=[name] * BATCH)
        except CONNECTION_ERRORS:
            self.lost.append(name)
            return
        assert answer.status == 201
        self.answered[name] = [key["id"] for key in answer["keys"]]


def kill_one_at_work(service, batches):
    """Kill one process after the other until one of them held a request."""
    lost = len(batches.lost)
    while len(batches.lost) == lost:
        kill_one(service, batches)


def kill_one(service, batches):
    victim, answered = service.web_processes()[0], len(batches.answered)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in service.web_processes(), "The process is still there.")
    wait_until(lambda: len(batches.answered) > answered, "Nothing is answered any more.")


def assert_all_or_none(service, assessment, batches):
    rows = service.execute(
        """SELECT k.candidate_name, k.id, d.id FROM candidate_keys k
        LEFT JOIN deliveries d ON d.id = k.invitation_id AND d.subject_id = k.id
        WHERE k.assessment_id = %s ORDER BY k.created_at, k.id""",
        service.stored_id(assessment["id"]),
    )
    assert set(Counter(name for name, _, _ in rows).values()) == {BATCH}
    assert all(delivery_id is not None for _, _, delivery_id in rows)
    assert batches.answered.keys() <= {name for name, _, _ in rows}
    for name, ids in batches.answered.items():
        assert [service.stored_id(it) for it in ids] == [
            str(key_id) for there, key_id, _ in rows if there == name
        ]

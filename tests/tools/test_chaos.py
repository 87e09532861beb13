"""`make chaos`: repeatable plans, tracebacks in the log, outages."""

import pytest

from tools.chaos import plan
from tools.chaos.checks import find_log_violations
from tools.chaos.client import Outages

CONNECTION_LOST = """\
2026-04-01 09:00:00 INFO proofstone.worker: The worker is ready.
Traceback (most recent call last):
  File "models/base.py", line 3, in connect
    return super().connect()
peewee.OperationalError: server closed the connection unexpectedly
2026-04-01 09:00:01 INFO proofstone.worker: The worker continues.
"""
OTHER_ERROR = CONNECTION_LOST.replace("peewee.OperationalError: server closed", "KeyError: server closed")


@pytest.mark.parametrize("has_server", [True, False])
def test_a_seed_always_gives_the_same_plan(has_server):
    assert plan.rounds(7, 50, has_server) == plan.rounds(7, 50, has_server)
    assert plan.rounds(7, 50, has_server) != plan.rounds(8, 50, has_server)
    assert plan.rounds(7, 100, has_server)[:50] == plan.rounds(7, 50, has_server)


@pytest.mark.parametrize("has_server", [True, False])
def test_each_round_starts_with_a_kill_and_long_plans_have_all_faults(has_server):
    rounds = plan.rounds(7, 100, has_server)
    assert {faults[0].name for faults in rounds} == set(plan.KILLS)
    expected = {*plan.KILLS, *plan.STOPS, *(plan.OUTAGES if has_server else ())}
    assert {fault.name for faults in rounds for fault in faults} == expected


def test_tracebacks_are_violations_except_for_lost_connections_to_a_server():
    assert find_log_violations(CONNECTION_LOST, has_server=True) == []
    assert len(find_log_violations(CONNECTION_LOST, has_server=False)) == 1
    assert len(find_log_violations(OTHER_ERROR, has_server=True)) == 1


@pytest.mark.parametrize(
    ("start", "end", "overlaps"),
    [(1, 9, False), (1, 11, True), (12, 13, True), (19, 25, True), (21, 29, False), (21, 31, True)],
)
def test_requests_overlap_with_outages(start, end, overlaps):
    outages = Outages()
    outages.periods = [[10, 20], [30, float("inf")]]
    assert outages.overlaps(start, end) == overlaps

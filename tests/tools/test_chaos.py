"""What `make chaos` rests on: plans that a seed repeats, and a log that is read as it is written."""

import pytest

from tools.chaos import logs, plan
from tools.chaos.calls import Outages

LOST = """\
2026-04-01 09:00:00 INFO proofstone.worker: The worker is ready.
Traceback (most recent call last):
  File "models/base.py", line 3, in connect
    return super().connect()
peewee.OperationalError: server closed the connection unexpectedly
2026-04-01 09:00:01 INFO proofstone.worker: The worker goes on.
"""
STUMBLED = LOST.replace("peewee.OperationalError: server closed", "KeyError: server closed")


@pytest.mark.parametrize("has_server", [True, False])
def test_the_same_seed_gives_the_same_plan(has_server):
    assert plan.rounds(7, 50, has_server) == plan.rounds(7, 50, has_server)
    assert plan.rounds(7, 50, has_server) != plan.rounds(8, 50, has_server)


def test_a_longer_run_begins_as_a_shorter_one():
    assert plan.rounds(7, 100, True)[:20] == plan.rounds(7, 20, True)


@pytest.mark.parametrize("has_server", [True, False])
def test_each_round_begins_with_a_kill_and_all_faults_come(has_server):
    rounds = plan.rounds(7, 100, has_server)
    assert {faults[0].name for faults in rounds} == set(plan.KILLS)
    expected = {*plan.KILLS, *plan.STOPS, *(plan.OUTAGES if has_server else ())}
    assert {fault.name for faults in rounds for fault in faults} == expected


def test_a_lost_connection_is_forgiven_where_the_database_can_go_away():
    assert logs.breaches(LOST, has_server=True) == []
    assert len(logs.breaches(LOST, has_server=False)) == 1
    assert len(logs.breaches(STUMBLED, has_server=True)) == 1


def test_an_outage_touches_what_was_asked_meanwhile():
    outages = Outages()
    outages.spans = [[10, 20], [30, float("inf")]]
    asked = [(1, 9), (1, 11), (12, 13), (19, 25), (21, 29), (21, 31)]
    assert [outages.touch(*each) for each in asked] == [False, True, True, True, False, True]

"""What happens to the sessions of an assessment, by one of several processes, at random; and what its rollup says then.

    python -m tests.live.cohort_history write ASSESSMENT SEED CLOSES
    python -m tests.live.cohort_history tell ASSESSMENT

on the database that DATABASE_URL names.
"""

import json
import os
import random
import sys
import uuid
from datetime import UTC, datetime, timedelta

import models
from errors import Refusal
from models import (
    Arrival,
    Assessment,
    CandidateKey,
    CohortRollup,
    Consent,
    Session,
    cohorts,
    generate_keys,
    privacy,
    sessions,
)
from rules import metrics
from rules.cohorts import METRICS
from rules.timestamps import parse_timestamp_ns

KEYS_AT_A_TIME = 50
KINDS = ("prompt", "file_diff", "ai_response")


def write(assessment_id, seed, closes):
    """Close that many sessions of new candidates; now and then something happens to one that anybody has closed."""
    assessment, chance = Assessment.get_by_id(assessment_id), random.Random(seed)
    for key_id in keys(assessment, closes):
        session = begin(CandidateKey.get_by_id(key_id))
        sessions.append(session, *(arrival(chance) for _ in range(chance.randrange(1, 6))))
        chance.choice((session.complete, session.close))()
        if chance.random() < 0.4:
            happen(chance, any_closed(assessment, chance))


def keys(assessment, count):
    for _ in range(0, count, KEYS_AT_A_TIME):
        candidates = [{"email": None, "name": None}] * min(KEYS_AT_A_TIME, count)
        yield from (row.id for row in generate_keys(assessment.organization, assessment.id, candidates))


def begin(key):
    Consent.give(key, None, None)
    return sessions.redeem(key.key)


def arrival(chance):
    moment = datetime(2026, 4, 1, 9, tzinfo=UTC) + timedelta(milliseconds=chance.randrange(20_000_000))
    event = {"id": str(uuid.uuid4()), "v": 1, "ts": moment.isoformat(), "source": "terminal", "data": {}}
    event["kind"] = chance.choice(KINDS)
    if chance.random() < 0.4:
        event |= {"kind": "command", "data": {"command": "pytest", "exitCode": chance.randrange(2)}}
    return Arrival(event, parse_timestamp_ns(event["ts"]), json.dumps(event))


def any_closed(assessment, chance):
    """One of those that closed lately, so that several processes often meet at the same one."""
    closed = Session.select().where(Session.assessment == assessment, Session.closed_at.is_null(False))
    return chance.choice(list(closed.order_by(Session.id.desc()).limit(30)))


def happen(chance, session):
    """Something that may change the numbers of a closed session, or be refused since it was erased."""
    metrics.VERSION = chance.choice((1, 2, 3))
    try:
        match chance.randrange(6):
            case 0:
                sessions.append(session, arrival(chance), arrival(chance))
                sessions.settle(session)
            case 1:
                sessions.append(session, arrival(chance))
            case 2:
                sessions.rederive(session)
            case 3:
                privacy.erase(session.key)
            case 4:
                sessions.submit_test_result(session, chance.randrange(3), chance.randrange(2), None, None)
            case 5:
                sessions.mark_hired(session, chance.random() < 0.5)
    except Refusal:
        pass


def tell(assessment_id):
    """The totals, and by session how many it beats in each metric, as the statistics read them."""
    Session.settle_all(assessment=Assessment.get_by_id(assessment_id))
    ids = [row.id for row in Session.select(Session.id).where(Session.assessment == assessment_id)]
    beaten = {}
    for row in (row for session_id in ids for row in cohorts.ranked([session_id], METRICS)):
        numbers = beaten.setdefault(uuid.UUID(str(row["session_id"])).hex, {})
        numbers[METRICS[row["metric"]].field] = int(row["beaten"])
    totals = CohortRollup.get_by_id(assessment_id).totals
    print(json.dumps({"totals": totals, "beaten": beaten}))


if __name__ == "__main__":
    database = models.bind(os.environ["DATABASE_URL"])
    database.connect()
    if not models.base.is_postgres():
        # Eight writers without a pause let one of them wait for longer than a service's five seconds.
        database.execute_sql("PRAGMA busy_timeout = 120000")
    match sys.argv[1:]:
        case ["write", assessment_id, seed, closes]:
            write(assessment_id, int(seed), int(closes))
        case ["tell", assessment_id]:
            tell(assessment_id)

"""The kept number of keys under writers on several processes: it is always what counting the keys would give."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cast import list_keys, make_assessment, make_keys
from tests.live.client import run_concurrently

WRITERS, STEPS = 8, 12


@pytest.fixture
def reviewer(service):
    """A reviewer of an organization of which nobody else changes anything."""
    return service.organization("Counted")


@pytest.mark.slow
def test_the_total_is_exact_whoever_writes_at_the_same_moment(service, reviewer):
    assessments = [make_assessment(reviewer) for _ in range(4)]
    for assessment in assessments:
        make_keys(reviewer, assessment, 20)
    with service.worker(), service.worker(), ThreadPoolExecutor(WRITERS) as writers:
        writing = [writers.submit(write, service, reviewer, assessments, seed) for seed in range(WRITERS)]
        while not all(writer.done() for writer in writing):
            assert counted_in_one_snapshot(service) == []
        for writer in writing:
            writer.result()
    assert counted_in_one_snapshot(service) == []
    assert reviewer.get("/v1/candidates")["total"] == len(read_through(reviewer))


def write(service, reviewer, assessments, seed):
    """What one of them does: issue, revoke, erase, and once delete an assessment."""
    chance = random.Random(seed)
    for step in range(STEPS):
        assessment = chance.choice(assessments[1:])
        # Of one that was deleted meanwhile there are none to be had.
        path = f"/v1/assessments/{assessment['id']}/keys"
        made = reviewer.post(path, {"count": chance.randint(1, 5)}).json.get("keys", [])
        if made and chance.random() < 0.3:
            try_to_begin(service, made[0]["key"])
        for key in made[:2] + list_keys(reviewer, assessments[1])[:1]:
            end(reviewer, key, chance)
        if seed == 0 and step == STEPS // 2:
            assert reviewer.delete(f"/v1/assessments/{assessments[2]['id']}").status == 200


def try_to_begin(service, key):
    """Agree and redeem, unless the key is gone meanwhile."""
    for step in ("consent", "redeem"):
        service.anonymous.post(f"/v1/candidate/{step}", {"key": key})


def end(reviewer, key, chance):
    """Revoke the key or erase the candidate, twice at once: it goes once."""
    revoke = f"/v1/assessments/{key['assessmentId']}/keys/{key['id']}"
    path = revoke if chance.random() < 0.6 else f"/v1/candidates/{key['id']}/data"
    run_concurrently([lambda: reviewer.delete(path), lambda: reviewer.delete(revoke)])


def counted_in_one_snapshot(service):
    """Assessments of which the kept number is another than that of their keys, at one moment."""
    return service.execute(
        """
        SELECT a.id FROM assessments a
        WHERE (SELECT count(*) FROM candidate_keys k WHERE k.assessment_id = a.id AND k.revoked_at IS NULL)
           <> (SELECT coalesce(sum(c.change), 0) FROM key_counts c WHERE c.assessment_id = a.id)
        """
    )


def read_through(reviewer):
    """All candidates, page after page, each page behind the last of the one before."""
    found = page = reviewer.get("/v1/candidates?limit=7")["candidates"]
    while page:
        page = reviewer.get(f"/v1/candidates?limit=7&after={page[-1]['id']}")["candidates"]
        found = found + page
    assert len({one["id"] for one in found}) == len(found)
    return found

"""kill -9 of a web process during writes: a request is stored whole or not at all (R15)."""

from collections import Counter
from itertools import count

from tests.live.cast import invite
from tests.live.client import CONNECTION_ERRORS, Load
from tests.live.service import wait_until

CALLERS = 6
BATCH = 50
ADDRESSES = [f"candidate{number}@example.com" for number in range(BATCH)]


def test_a_batch_of_keys_is_stored_whole_or_not_at_all(service, reviewer, assessment):
    numbers, created, lost = count(), {}, []

    def create():
        name = f"Batch {next(numbers)}"
        try:
            response = invite(reviewer, assessment, *ADDRESSES, candidateNames=[name] * BATCH)
        except CONNECTION_ERRORS:
            lost.append(name)
            return
        assert response.status == 201
        created[name] = [service.stored_id(key["id"]) for key in response["keys"]]

    with Load([create] * CALLERS):
        # Some processes are idle when they are killed.
        while not lost:
            before = len(created)
            service.kill_web_process()
            wait_until(lambda: len(created) > before, "The service does not respond any more.")  # noqa: B023
    rows = service.execute(
        """SELECT k.candidate_name, k.id, d.id FROM candidate_keys k
        LEFT JOIN deliveries d ON d.id = k.invitation_id AND d.subject_id = k.id
        WHERE k.assessment_id = %s ORDER BY k.created_at, k.id""",
        service.stored_id(assessment["id"]),
    )
    assert set(Counter(name for name, *_ in rows).values()) == {BATCH}
    assert all(delivery_id is not None for *_, delivery_id in rows)
    for name, ids in created.items():
        assert [str(key_id) for stored_name, key_id, _ in rows if stored_name == name] == ids

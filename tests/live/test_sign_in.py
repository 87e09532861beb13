"""Concurrent sign-ins with one grant."""

import uuid
from collections import Counter

from callers import CONSOLE_HEADERS

from rules import sign_ins
from tests.live.client import Client, run_concurrently

ISSUE = """
    INSERT INTO sign_in_grants (id, created_at, address, method, fingerprint, expires_at)
    VALUES (%s, %s, 'ann@example.com', 'mail', %s, %s)
"""


def test_a_grant_signs_in_once(service):
    service.organization("Signing in")
    service.flask("person", "create", "Signing in", "ann@example.com", "--name", "Ann")
    page = Client(service.port, **CONSOLE_HEADERS)
    for signed_in in range(1, 6):
        secret, now, expiry = sign_ins.generate(), service.stored_time(0), service.stored_time(-600)
        grant_id = service.stored_id(str(uuid.uuid4()))
        service.execute(ISSUE, grant_id, now, sign_ins.fingerprint(secret), expiry)
        (ann,) = page.post("/v1/sign-in", {"grant": secret})["choices"]
        body = {"grant": secret, "personId": ann["personId"]}
        responses = run_concurrently([lambda body=body: page.post("/v1/sign-in", body)] * 16)
        assert Counter(response.status for response in responses) == {200: 1, 410: 15}
        assert service.execute("SELECT count(*) FROM sign_ins") == [(signed_in,)]

"""A writer's scenario: an assessment with candidates, sessions, scores, a revocation and an erasure.

The same seed produces the same choices. Most writes are retried with the same `Idempotency-Key` or ids until they are
acknowledged. Some are sent only once, so their outcome can be unknown.
"""

import hashlib
import os
import random
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rules.timestamps import format_timestamp
from tests.live.cast import ASSESSMENT, event
from tests.live.client import Response
from tests.live.scripted_chain import Chain, message
from tools.chaos.client import ApiClient, Headers, Violation
from tools.chaos.expected import ExpectedSession, KeyBatch, Results

KINDS = ("prompt", "file_diff", "command")
CRITERIA = ("cause", "proof")
LEVELS = (1, 2, 3)
READS = (
    "/v1/assessments/{}", "/v1/assessments/{}/keys", "/v1/assessments/{}/cohort-stats",
    "/v1/candidates?limit=20", "/v1/sessions?limit=20", "/v1/me", "/v1/rubrics",
)  # fmt: skip


class Scenario:
    """One assessment and its expected state."""

    def __init__(self, label: str, client: ApiClient, results: Results, reviewer: Headers, rubric_id: str):
        self.label = label
        self.rng = random.Random(label)
        self.client = client
        self.results = results
        self.reviewer = reviewer
        self.rubric_id = rubric_id
        self.assessment_id = ""
        self.batches: list[KeyBatch] = []
        self.sessions: list[ExpectedSession] = []
        self.deleted_keys: set[str] = set()
        self.is_complete = False

    def run(self) -> None:
        """Run all steps. Raises Violation if the service breaks a guarantee."""
        self._create_assessment()
        self._issue_keys(self.rng.randint(4, 12), retry=True)
        self._issue_keys(self.rng.randint(2, 20), retry=False)
        keys = self.batches[0].keys or []
        for key in keys[:2]:
            self._run_session(key)
            path = self.rng.choice(READS).format(self.assessment_id)
            self.client.request("GET", path, headers=self.reviewer)
        self._revoke(keys[2])
        if self.rng.random() < 0.5:
            self._erase(self.sessions[0])
        self.is_complete = True

    # Reviewer

    def _create_assessment(self) -> None:
        body = ASSESSMENT | {"title": self.label, "rubricId": self.rubric_id}
        response = self.client.request("POST", "/v1/assessments", body, self._idempotent("create"), (201,))
        self.assessment_id = response["assessment"]["id"]
        self.results.add("assessment")

    def _issue_keys(self, count: int, retry: bool) -> None:
        name = f"{self.label} batch {len(self.batches)}"
        batch = KeyBatch(name, [f"{name.replace(' ', '.')}.{number}@example.com" for number in range(count)])
        self.batches.append(batch)
        body = {"count": count, "candidateEmails": batch.addresses, "candidateNames": [name] * count}
        response: Response | None
        if retry:
            response = self.client.request("POST", self._keys, body, self._idempotent(name), (201,))
        elif (response := self.client.try_once("POST", self._keys, body, self.reviewer)) is None:
            self.results.add("key", count, is_acknowledged=False)
            return
        # Only the needed fields, because a long run has 100,000 keys.
        batch.keys = [{"id": key["id"], "key": key["key"]} for key in response["keys"]]
        self.results.add("key", count)

    def _score(self, session: ExpectedSession) -> None:
        for criterion in CRITERIA:
            path = f"/v1/sessions/{session.session_id}/scores/{criterion}"
            body = {"value": self.rng.choice(LEVELS)}
            response, retries = self.client.request_with_retries("PUT", path, body, self.reviewer)
            session.scores[criterion] = (response["score"]["value"], retries)
            self.results.add("score")

    def _revoke(self, key: dict[str, str]) -> None:
        # A retry after a lost response returns 404.
        path = f"{self._keys}/{key['id']}"
        self.client.request("DELETE", path, headers=self.reviewer, expected=(200, 404))
        self.deleted_keys.add(key["id"])
        self.results.add("revocation")

    def _erase(self, session: ExpectedSession) -> None:
        path = f"/v1/candidates/{session.key['id']}/data"
        self.client.request("DELETE", path, headers=self.reviewer)
        session.is_erased = True
        self.deleted_keys.add(session.key["id"])
        self.results.add("erasure")

    @property
    def _keys(self) -> str:
        return f"/v1/assessments/{self.assessment_id}/keys"

    def _idempotent(self, name: str) -> Headers:
        return self.reviewer | {"Idempotency-Key": f"{self.label}-{name}".replace(" ", "-")}

    # Candidate

    def _run_session(self, key: dict[str, str]) -> None:
        session = ExpectedSession(key, is_signed=self.rng.random() < 0.5)
        signer = EventSigner(self.rng.randbytes(32)) if session.is_signed else None
        self._start(session, signer)
        self.sessions.append(session)
        for second in range(self.rng.randint(3, 8)):
            self._send_event(session, second, signer)
        self._send_batch(session, self.rng.randint(2, 20), signer)
        self._check_integrity(session)
        self._submit(session, self.rng.randbytes(self.rng.randint(100, 20_000)))
        self._complete(session)
        self._score(session)

    def _start(self, session: ExpectedSession, signer: "EventSigner | None") -> None:
        key = session.key["key"]
        disclosure = self.client.request("GET", f"/v1/candidate/consent?key={key}")
        consent = {"key": key, "disclosureHash": disclosure["disclosureHash"]}
        self.client.request("POST", "/v1/candidate/consent", consent)
        self.results.add("consent")
        body = {"key": key} | ({"signingPubKey": signer.chain.public_key} if signer else {})
        session.session_id = self.client.request("POST", "/v1/candidate/redeem", body)["sessionId"]
        self.results.add("redemption")

    def _send_event(self, session: ExpectedSession, second: int, signer: "EventSigner | None") -> None:
        # Signed events form a chain, so all of them must arrive.
        must_arrive = signer is not None or self.rng.random() < 0.7
        body = self._event(session, second, signer)
        self._ingest(session, "/v1/hooks/ingest", body, [body["id"]], must_arrive)

    def _send_batch(self, session: ExpectedSession, count: int, signer: "EventSigner | None") -> None:
        must_arrive = signer is not None or self.rng.random() < 0.5
        events = [self._event(session, 60 + number, signer) for number in range(count)]
        ids = [body["id"] for body in events]
        if not self._ingest(session, "/v1/hooks/ingest/batch", {"events": events}, ids, must_arrive):
            session.unknown_batches.append(ids)

    def _ingest(
        self, session: ExpectedSession, path: str, body: dict[str, Any], ids: list[str], must_arrive: bool
    ) -> bool:
        """Send events. Returns whether they were acknowledged."""
        send = self.client.request if must_arrive else self.client.try_once
        is_acknowledged = send("POST", path, body, _credential(session)) is not None
        session.sent |= dict.fromkeys(ids, is_acknowledged)
        self.results.add("event", len(ids), is_acknowledged)
        return is_acknowledged

    def _event(self, session: ExpectedSession, second: int, signer: "EventSigner | None") -> dict[str, Any]:
        event_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        envelope = event(self.rng.choice(KINDS), second, id=event_id, sessionId=session.session_id)
        envelope["data"] = {"text": f"{self.label} {second}"}
        # `/integrity` reports a signed event whose time is far from its arrival.
        envelope["ts"] = format_timestamp(datetime.now(UTC))
        return signer.sign(envelope) if signer else envelope

    def _check_integrity(self, session: ExpectedSession) -> None:
        """Check the integrity during writes."""
        path = f"/v1/sessions/{session.session_id}/integrity"
        if findings := self.client.request("GET", path, headers=self.reviewer)["findings"]:
            raise Violation(f"The integrity of the open session {session.session_id} is {findings}")

    def _submit(self, session: ExpectedSession, bundle: bytes) -> None:
        headers = _credential(session)
        body = {"sessionId": session.session_id}
        upload = self.client.request("POST", "/v1/candidate/upload-url", body, headers).json
        url = urlsplit(upload["uploadUrl"])
        self.client.request("PUT", f"{url.path}?{url.query}", bundle, {"Content-Type": "application/gzip"})
        session.bundle_sha256 = hashlib.sha256(bundle).hexdigest()
        body |= {"bundleKey": upload["objectKey"], "bundleSha256": session.bundle_sha256}
        self.client.request("POST", "/v1/candidate/submit-code", body | {"bundleSize": len(bundle)}, headers)
        self.results.add("submission")

    def _complete(self, session: ExpectedSession) -> None:
        body = {"key": session.key["key"], "sessionId": session.session_id}
        session.completed_at = self.client.request("POST", "/v1/candidate/complete", body)["completedAt"]
        self.results.add("completion")


class EventSigner:
    """Signs a session's events in order, like the candidate's client."""

    def __init__(self, seed: bytes):
        # Only a client with several processes needs the chain log.
        self.chain = Chain(Path(os.devnull), seed)
        self.previous = ""

    def sign(self, envelope: dict[str, Any]) -> dict[str, Any]:
        previous, self.previous = self.previous, self.chain.key.sign(message(envelope, self.previous)).hex()
        return envelope | {"sig": self.previous} | ({"prevSig": previous} if previous else {})


def _credential(session: ExpectedSession) -> Headers:
    return {"X-API-Key": session.key["key"]}

"""What one writer does from beginning to end: an assessment, its candidates, what they hand in, and what goes again.

Every choice comes from the story's own generator, so that the same seed tells the same story. Most writes are asked
for until they are answered, with the same `Idempotency-Key` or the same ids; some are asked for once, and if the
answer is lost their fate is open.
"""

import hashlib
import os
import random
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.live.cast import ASSESSMENT, event
from tests.live.scripted_chain import Chain, message
from tools.chaos.calls import Breach, Headers, Line
from tools.chaos.ledger import Batch, Ledger, Work

KINDS = ("prompt", "file_diff", "command")
CRITERIA = ("cause", "proof")
LEVELS = (1, 2, 3)
READINGS = (
    "/v1/assessments/{}", "/v1/assessments/{}/keys", "/v1/assessments/{}/cohort-stats",
    "/v1/candidates?limit=20", "/v1/sessions?limit=20", "/v1/me", "/v1/rubrics",
)  # fmt: skip


class Story:
    """One assessment and all that belongs to it."""

    def __init__(
        self,
        label: str,
        choices: random.Random,
        line: Line,
        ledger: Ledger,
        reviewer: Headers,
        rubric_id: str,
    ):
        self.label = label
        self.choices = choices
        self.line = line
        self.ledger = ledger
        self.reviewer = reviewer
        self.rubric_id = rubric_id
        self.assessment_id = ""
        self.batches: list[Batch] = []
        self.works: list[Work] = []
        self.gone: set[str] = set()
        self.is_over = False

    def play(self) -> None:
        """All of it; Breach where the service does something that it never should."""
        self._create()
        self._issue(self.choices.randint(4, 12))
        self._issue_in_haste(self.choices.randint(2, 20))
        keys = self.batches[0].keys or []
        for key in keys[:2]:
            self._work(key)
            self._read()
        self._revoke(keys[2])
        if self.choices.random() < 0.5:
            self._erase(self.works[0])
        self.is_over = True

    # The reviewer

    def _create(self) -> None:
        body = ASSESSMENT | {"title": self.label, "rubricId": self.rubric_id}
        answer = self.line.insist("POST", "/v1/assessments", body, self._once_only("create"), (201,))
        self.assessment_id = answer["assessment"]["id"]
        self.ledger.acknowledge("assessment")

    def _issue(self, count: int) -> None:
        batch = self._new_batch(count)
        answer = self.line.insist("POST", self._keys, _invitation(batch), self._once_only(batch.name), (201,))
        self._keep(batch, answer["keys"])

    def _issue_in_haste(self, count: int) -> None:
        batch = self._new_batch(count)
        answer = self.line.ask("POST", self._keys, _invitation(batch), self.reviewer)
        if answer is None:
            self.ledger.leave_open("key", count)
        else:
            self._keep(batch, answer["keys"])

    def _new_batch(self, count: int) -> Batch:
        name = f"{self.label} batch {len(self.batches)}"
        batch = Batch(name, [f"{name.replace(' ', '.')}.{number}@example.com" for number in range(count)])
        self.batches.append(batch)
        return batch

    def _keep(self, batch: Batch, keys: list[dict[str, Any]]) -> None:
        # All that is needed later: an hour's stories have a hundred thousand keys.
        batch.keys = [{"id": key["id"], "key": key["key"]} for key in keys]
        self.ledger.acknowledge("key", len(keys))

    def _read(self) -> None:
        path = self.choices.choice(READINGS).format(self.assessment_id)
        self.line.insist("GET", path, headers=self.reviewer)

    def _look_into(self, work: Work) -> None:
        """The record is whole also while it grows and is sealed."""
        path = f"/v1/sessions/{work.session_id}/integrity"
        if facts := self.line.insist("GET", path, headers=self.reviewer)["facts"]:
            raise Breach(f"The integrity of the running session {work.session_id} says {facts}")

    def _score(self, work: Work) -> None:
        for criterion in CRITERIA:
            path = f"/v1/sessions/{work.session_id}/scores/{criterion}"
            value = self.choices.choice(LEVELS)
            answer, tries = self.line.insist_and_count("PUT", path, {"value": value}, self.reviewer)
            work.scores[criterion] = (answer["score"]["value"], 1, tries)
            self.ledger.acknowledge("score")

    def _revoke(self, key: dict[str, str]) -> None:
        # Asked again after a lost answer, the key is not found any more.
        self.line.insist("DELETE", f"{self._keys}/{key['id']}", headers=self.reviewer, expected=(200, 404))
        self.gone.add(key["id"])
        self.ledger.acknowledge("revocation")

    def _erase(self, work: Work) -> None:
        self.line.insist("DELETE", f"/v1/candidates/{work.key['id']}/data", headers=self.reviewer)
        work.is_erased = True
        self.gone.add(work.key["id"])
        self.ledger.acknowledge("erasure")

    @property
    def _keys(self) -> str:
        return f"/v1/assessments/{self.assessment_id}/keys"

    def _once_only(self, what: str) -> Headers:
        return self.reviewer | {"Idempotency-Key": f"{self.label}-{what}".replace(" ", "-")}

    # The candidate

    def _work(self, key: dict[str, str]) -> None:
        work = Work(key, is_signed=self.choices.random() < 0.5)
        signer = Signer(self.choices.randbytes(32)) if work.is_signed else None
        self._begin(work, signer)
        self.works.append(work)
        for number in range(self.choices.randint(3, 8)):
            self._tell(work, number, signer)
        self._tell_together(work, self.choices.randint(2, 20), signer)
        self._look_into(work)
        self._hand_in(work, self.choices.randbytes(self.choices.randint(100, 20_000)))
        self._complete(work)
        self._score(work)

    def _begin(self, work: Work, signer: "Signer | None") -> None:
        key = work.key["key"]
        shown = self.line.insist("GET", f"/v1/candidate/consent?key={key}")
        agreement = {"key": key, "disclosureHash": shown["disclosureHash"]}
        self.line.insist("POST", "/v1/candidate/consent", agreement)
        self.ledger.acknowledge("consent")
        body = {"key": key} | ({"signingPubKey": signer.chain.public_key} if signer else {})
        work.session_id = self.line.insist("POST", "/v1/candidate/redeem", body)["sessionId"]
        self.ledger.acknowledge("redemption")

    def _tell(self, work: Work, second: int, signer: "Signer | None") -> None:
        told = self._event(work, second, signer)
        headers = _candidate(work)
        if signer or self.choices.random() < 0.7:
            self.line.insist("POST", "/v1/hooks/ingest", told, headers)
            answer = True
        else:
            answer = self.line.ask("POST", "/v1/hooks/ingest", told, headers) is not None
        self._note_events(work, [told["id"]], answer)

    def _tell_together(self, work: Work, count: int, signer: "Signer | None") -> None:
        told = [self._event(work, 60 + number, signer) for number in range(count)]
        headers, body = _candidate(work), {"events": told}
        ids = [each["id"] for each in told]
        if signer or self.choices.random() < 0.5:
            self.line.insist("POST", "/v1/hooks/ingest/batch", body, headers)
            self._note_events(work, ids, True)
            return
        is_there = self.line.ask("POST", "/v1/hooks/ingest/batch", body, headers) is not None
        self._note_events(work, ids, is_there)
        if not is_there:
            work.together.append(ids)

    def _note_events(self, work: Work, ids: list[str], is_acknowledged: bool) -> None:
        work.sent |= dict.fromkeys(ids, is_acknowledged)
        count = self.ledger.acknowledge if is_acknowledged else self.ledger.leave_open
        count("event", len(ids))

    def _event(self, work: Work, second: int, signer: "Signer | None") -> dict[str, Any]:
        event_id = str(uuid.UUID(int=self.choices.getrandbits(128), version=4))
        told = event(self.choices.choice(KINDS), second, id=event_id, sessionId=work.session_id)
        told["data"] = {"text": f"{self.label} {second}"}
        return signer.signed(told) if signer else told

    def _hand_in(self, work: Work, bundle: bytes) -> None:
        headers = _candidate(work)
        of_session = {"sessionId": work.session_id}
        place = self.line.insist("POST", "/v1/candidate/upload-url", of_session, headers).json
        address = urlsplit(place["uploadUrl"])
        self.line.insist(
            "PUT", f"{address.path}?{address.query}", bundle, {"Content-Type": "application/gzip"}
        )
        work.bundle_sha256 = hashlib.sha256(bundle).hexdigest()
        facts = {"bundleKey": place["objectKey"], "bundleSize": len(bundle)}
        facts |= {"bundleSha256": work.bundle_sha256}
        self.line.insist("POST", "/v1/candidate/submit-code", of_session | facts, headers)
        self.ledger.acknowledge("submission")

    def _complete(self, work: Work) -> None:
        body = {"key": work.key["key"], "sessionId": work.session_id}
        work.completed_at = self.line.insist("POST", "/v1/candidate/complete", body)["completedAt"]
        self.ledger.acknowledge("completion")


class Signer:
    """Signs a session's events as the client does, one after the other."""

    def __init__(self, seed: bytes):
        # Its log stays unused: a story has no other processes that append to it.
        self.chain = Chain(Path(os.devnull), seed)
        self.before = ""

    def signed(self, told: dict[str, Any]) -> dict[str, Any]:
        before, self.before = self.before, self.chain.key.sign(message(told, self.before)).hex()
        return told | {"sig": self.before} | ({"prevSig": before} if before else {})


def _invitation(batch: Batch) -> dict[str, Any]:
    count = len(batch.addresses)
    return {
        "count": count,
        "candidateEmails": batch.addresses,
        "candidateNames": [batch.name] * count,
    }


def _candidate(work: Work) -> Headers:
    return {"X-API-Key": work.key["key"]}

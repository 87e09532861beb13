"""Compare the data with the expected state through the API. Finds lost, duplicate and partial writes."""

import hashlib
import json
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.live.client import Response
from tests.live.scripted_chain import verify
from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.expected import ExpectedSession, KeyBatch
from tools.chaos.feed import FeedReader
from tools.chaos.scenario import Scenario

THREADS = 4
CONNECTION_LOST = re.compile(r"(OperationalError|InterfaceError|AdminShutdown|DatabaseError)\b")


class Checks:
    """Checks of complete scenarios.

    verified -- number of acknowledged writes found in the data
    recovered -- number of stored writes whose outcome was unknown
    """

    def __init__(self, deployment: Deployment, feed: FeedReader):
        self.deployment = deployment
        self.feed = feed
        self.verified: Counter[str] = Counter()
        self.recovered: Counter[str] = Counter()
        self._lock = threading.Lock()

    def find_violations(self, scenarios: list[Scenario]) -> list[str]:
        # Incomplete scenarios already have a violation.
        complete = [scenario for scenario in scenarios if scenario.is_complete]
        with ThreadPoolExecutor(THREADS) as threads:
            return [
                violation
                for violations in threads.map(lambda scenario: list(self._check_scenario(scenario)), complete)
                for violation in violations
            ]

    def _check_scenario(self, scenario: Scenario) -> Iterator[str]:
        label = f"{scenario.label} (assessment {scenario.assessment_id})"
        try:
            for message in (*self._check_keys(scenario), *self._check_feed(scenario)):
                yield f"{label}: {message}"
            for session in scenario.sessions:
                for message in self._check_session(session):
                    yield f"{label}: session {session.session_id}: {message}"
        except (Violation, AssertionError, KeyError) as error:
            yield f"{label}: {error!r}"

    def _count(self, kind: str, verified: int = 1, recovered: int = 0) -> None:
        with self._lock:
            self.verified[kind] += verified
            self.recovered[kind] += recovered

    def _get(self, path: str, expected: tuple[int, ...] = (200,)) -> Response:
        deployment = self.deployment
        return deployment.client.request("GET", path, headers=deployment.reviewer, expected=expected)

    # Keys and their emails

    def _check_keys(self, scenario: Scenario) -> Iterator[str]:
        assessment = self._get(f"/v1/assessments/{scenario.assessment_id}")["assessment"]
        if assessment["title"] != scenario.label:
            yield f"its title is {assessment['title']}"
        stored = self._get(f"/v1/assessments/{scenario.assessment_id}/keys")["keys"]
        if len({key["key"] for key in stored}) != len(stored):
            yield "it has a duplicate key"
        by_batch: dict[str, list] = {batch.name: [] for batch in scenario.batches}
        for key in stored:
            by_batch.setdefault(key["candidateName"], []).append(key)
        if len(by_batch) != len(scenario.batches):
            yield f"it has unknown keys: {list(by_batch)}"
        if scenario.deleted_keys & {key["id"] for key in stored}:
            yield "it lists a revoked or erased key"
        self._count("assessment")
        erased = sum(session.is_erased for session in scenario.sessions)
        self._count("revocation", len(scenario.deleted_keys) - erased)
        for batch in scenario.batches:
            yield from self._check_batch(batch, by_batch[batch.name], scenario.deleted_keys)
        for key in stored:
            yield from self._check_email(key)

    def _check_batch(self, batch: KeyBatch, stored: list[dict[str, Any]], deleted: set[str]) -> Iterator[str]:
        if batch.keys is None:
            if len(stored) not in (0, len(batch.addresses)):
                yield f"{batch.name} is incomplete: {len(stored)} of {len(batch.addresses)} keys"
            self._count("key", 0, len(stored))
            return
        expected = [key for key in batch.keys if key["id"] not in deleted]
        stored_keys = [{"id": key["id"], "key": key["key"]} for key in stored]
        if stored_keys != expected:
            yield f"{batch.name} has the keys {stored_keys} instead of {expected}"
        self._count("key", len(expected))

    def _check_email(self, key: dict[str, Any]) -> Iterator[str]:
        received = self.deployment.receivers.emails.received.get(key["candidateEmail"], Counter())
        if key["invite"]["state"] != "sent":
            yield f"the invitation to {key['candidateEmail']} is {key['invite']}"
        if len(received) != 1:
            yield f"the emails to {key['candidateEmail']} have the ids {list(received)}"
        self._count("email")
        self._count("repeated email", 0, received.total() - len(received))

    # Sessions

    def _check_session(self, session: ExpectedSession) -> Iterator[str]:
        path = f"/v1/sessions/{session.session_id}"
        lines = self._get(f"{path}/export").text.splitlines()[1:]
        stored = [json.loads(line)["id"] for line in lines]
        fields = self._get(path).json
        if fields["completedAt"] != session.completed_at:
            yield f"completed at {fields['completedAt']} instead of {session.completed_at}"
        yield from self._check_integrity(session, len(stored))
        self._count("redemption")
        self._count("completion")
        if session.is_erased:
            self._count("erasure")
            if stored:
                yield f"events remain after the erasure: {stored}"
            if fields["candidateName"] or fields["candidateEmail"]:
                yield "a name remains after the erasure"
            if not len(session.acknowledged) <= fields["eventCount"] <= len(session.sent):
                yield f"eventCount after the erasure is {fields['eventCount']}"
            return
        yield from self._check_events(session, stored)
        if fields["eventCount"] + fields["lateEventCount"] != len(stored):
            yield f"eventCount is {fields['eventCount']} instead of {len(stored)}"
        yield from self._check_consent(session)
        yield from self._check_scores(session)
        yield from self._check_bundle(session)
        if session.is_signed:
            signed = verify(self._get(f"{path}/signed-log").json)
            if signed != len(stored):
                yield f"the signed log has {signed} of {len(stored)} events"

    def _check_events(self, session: ExpectedSession, stored: list[str]) -> Iterator[str]:
        if len(set(stored)) != len(stored):
            yield f"repeated events: {[event_id for event_id, count in Counter(stored).items() if count > 1]}"
        if lost := session.acknowledged - set(stored):
            yield f"lost events: {sorted(lost)}"
        if unknown := set(stored) - session.sent.keys():
            yield f"unknown events: {sorted(unknown)}"
        for ids in session.unknown_batches:
            if 0 < len(set(ids) & set(stored)) < len(ids):
                yield f"incomplete batch of events: {ids}"
        self._count("event", len(session.acknowledged), len(set(stored) - session.acknowledged))

    def _check_integrity(self, session: ExpectedSession, count: int) -> Iterator[str]:
        integrity = self._get(f"/v1/sessions/{session.session_id}/integrity").json
        findings = [finding["code"] for finding in integrity["findings"]]
        if findings != (["erased"] if session.is_erased else []):
            yield f"its integrity findings are {integrity['findings']}"
        counts = integrity["counts"]
        problems = ("notRecorded", "invalid", "unknownKey", "notJudged")
        is_intact = counts["events"] == counts["recorded"] == count
        if not session.is_erased and (not is_intact or any(counts[name] for name in problems)):
            yield f"its integrity counts are {counts}"

    def _check_consent(self, session: ExpectedSession) -> Iterator[str]:
        headers = {"X-API-Key": session.key["key"]}
        consents = self.deployment.client.request("GET", "/v1/candidate/me", headers=headers)["consents"]
        if len(consents) != 1:
            yield f"there are several consents: {consents}"
        self._count("consent")

    def _check_scores(self, session: ExpectedSession) -> Iterator[str]:
        criteria = self._get(f"/v1/sessions/{session.session_id}/scores")["criteria"]
        for criterion in criteria:
            value, retries = session.scores[criterion["key"]]
            if criterion["score"] is None or criterion["score"]["value"] != value:
                yield f"the score {criterion['key']} is {criterion['score']} instead of {value}"
            times = len(criterion["history"])
            if not 1 <= times <= 1 + retries:
                yield f"the score {criterion['key']} was written {times} times"
            self._count("score", recovered=times - 1)
        published = self.feed.counts["score.updated", session.session_id]
        if published != sum(len(criterion["history"]) for criterion in criteria):
            yield f"the feed has {published} scores"

    def _check_bundle(self, session: ExpectedSession) -> Iterator[str]:
        response = self._get(f"/v1/sessions/{session.session_id}/bundle", (200, 404, 409))
        if hashlib.sha256(response.text).hexdigest() != session.bundle_sha256:
            yield f"its bundle is not the submitted one (status {response.status})"
        self._count("submission")

    # Feed

    def _check_feed(self, scenario: Scenario) -> Iterator[str]:
        created = ("assessment.created", scenario.assessment_id)
        yield from self._check_published_once(created)
        for batch in scenario.batches:
            for key in batch.keys or []:
                yield from self._check_published_once(("key.created", key["id"]))
        for session in scenario.sessions:
            started = ("session.started", session.session_id)
            completed = ("session.completed", session.session_id)
            scored = ("score.updated", session.session_id)
            erased = [("candidate.erased", session.key["id"])] if session.is_erased else []
            for step in (started, completed, *erased):
                yield from self._check_published_once(step)
            steps = [created, ("key.created", session.key["id"]), started, completed, scored, *erased]
            positions = [self.feed.positions.get(step, -1) for step in steps]
            if positions != sorted(positions) or -1 in positions:
                yield f"the feed has {list(zip(steps, positions, strict=True))} in the wrong order"

    def _check_published_once(self, step: tuple[str, str]) -> Iterator[str]:
        if (times := self.feed.counts[step]) != 1:
            yield f"the feed has {times} events {' '.join(step)}"


def find_ledger_violations(deployment: Deployment) -> list[str]:
    try:
        deployment.service.flask("ledger", "verify")
    except subprocess.CalledProcessError as error:
        return [f"`flask ledger verify` failed: {error.stdout}"]
    return []


def find_key_violations(deployment: Deployment) -> list[str]:
    """Find duplicate keys in the database, because the API hides revoked keys."""
    query = "SELECT key, count(*) FROM candidate_keys GROUP BY key HAVING count(*) > 1"
    return [f"The key {key} exists {count} times." for key, count in deployment.service.execute(query)]


def find_log_violations(log: str, has_server: bool) -> list[str]:
    """Find tracebacks in the log, except for lost connections to a database server."""
    # From the first line to the unindented line that names the error.
    tracebacks = re.findall(r"^Traceback \(most recent call last\):\n(?:\s.*\n|\n)*.*", log, re.MULTILINE)
    return [
        "Traceback in the log: " + " | ".join(traceback.splitlines()[-6:])
        for traceback in tracebacks
        if not (has_server and CONNECTION_LOST.search(traceback.splitlines()[-1]))
    ]

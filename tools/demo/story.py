"""Three weeks of invitations, sessions, scores and decisions, as scripts for a `Simulation`."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from models.base import db
from tools.demo import agent, cast, client_events, reviews
from tools.demo.cast import Candidate
from tools.demo.organization import Organization
from tools.demo.servers import DemoServers
from tools.demo.simulation import Script, Simulation
from tools.demo.work import Action, Plan, Work

BATCH_EVENTS = 50
BATCH_SECONDS = 60
REQUEST_PAUSE = timedelta(milliseconds=120)
GIT_BUNDLE = "application/x-git-bundle"
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
# Notes that mark candidates recorded by the service. All others use the client.
RECORDED = ("hooks", "proxy")
SCORED = ("scored", "disagreed", "one", "advanced", "rejected", "hired")


class Story:
    """The candidates' history until `end`.

    sessions -- session ids by candidate name
    """

    def __init__(
        self, simulation: Simulation, organization: Organization, servers: DemoServers, end: datetime
    ):
        self.simulation, self.servers, self.end = simulation, servers, end
        self.sessions: dict[str, str] = {}
        self._organization, self._tasks = organization, organization.tasks
        self._call_as = organization.call

    @property
    def start(self) -> datetime:
        return self._day(21)

    def scripts(self) -> Iterator[Script]:
        yield self._failing_webhook()
        for candidate in cast.candidates():
            yield self._candidate(candidate)

    def _failing_webhook(self) -> Script:
        # Still enabled: a webhook is disabled after 56 hours without a success.
        yield self.end - 40 * HOUR
        self._organization.add_failing_webhook()

    # Candidates

    def _candidate(self, candidate: Candidate) -> Script:
        start = self._start(candidate)
        rng = random.Random(f"candidate {candidate.number}")
        # The day's candidates are invited together, up to three days earlier.
        morning = start.replace(hour=9, minute=30, second=0, microsecond=0) - rng.randint(1, 3) * DAY
        invited_at = morning if candidate.has_session else start
        yield invited_at
        key = self._invite(candidate)
        yield invited_at + MINUTE
        self.simulation.run_worker()
        if candidate.note == "extra":
            yield invited_at + 2 * HOUR
            path = f"/v1/candidates/{key['id']}/accommodation"
            self._call_as("admin", "PUT", path, {"timeMultiplier": 1.5})
        if candidate.outcome == "bounced":
            yield invited_at + 3 * HOUR
            self.simulation.flask("deliveries", "bounce", candidate.email)
        if candidate.outcome == "revoked":
            yield invited_at + DAY
            path = f"/v1/assessments/{self._organization.assessments[candidate.task]}/keys/{key['id']}"
            self._call_as("reviewer", "DELETE", path)
        if candidate.has_session:
            yield start
            yield from self._session(candidate, key, start, rng)
        if candidate.note == "tampered":
            yield self.simulation.now + 3 * MINUTE
            self._tamper(self.sessions[candidate.name])
        if candidate.outcome in SCORED:
            yield from self._review(candidate, key["id"])
        if candidate.outcome == "closed":
            yield self.simulation.now + DAY
            self._call_as("reviewer", "POST", f"/v1/sessions/{self.sessions[candidate.name]}/close")
        if candidate.outcome in ("erased", "erasure"):
            yield self.simulation.now + 3 * DAY
            self.simulation.call("POST", "/v1/candidate/me/erasure-request", X_API_Key=key["key"])
        if candidate.outcome == "erased":
            yield self.simulation.now + 5 * HOUR
            self._call_as("admin", "DELETE", f"/v1/candidates/{key['id']}/data")

    def _invite(self, candidate: Candidate) -> dict[str, Any]:
        fields = {"name": candidate.name, "email": candidate.email, "externalId": candidate.external_id}
        body = {"count": 1, "candidates": [fields | {"metadata": {"source": candidate.source}}]}
        path = f"/v1/assessments/{self._organization.assessments[candidate.task]}/keys"
        return self._call_as("reviewer", "POST", path, body)["keys"][0]

    def _session(
        self, candidate: Candidate, key: dict[str, Any], start: datetime, rng: random.Random
    ) -> Script:
        task, work = self._tasks[candidate.task], self._work(candidate, rng)
        headers = {"X_API_Key": key["key"]}
        disclosure = self.simulation.call("GET", "/v1/candidate/consent", **headers)
        body = {"key": key["key"], "disclosureHash": disclosure["disclosureHash"]}
        self.simulation.call("POST", "/v1/candidate/consent", body, **headers)
        yield start + 2 * MINUTE
        signer = client_events.Signer(candidate.number) if candidate.note not in RECORDED else None
        body = {"key": key["key"]} | ({"signingPubKey": signer.public_key} if signer else {})
        response = self.simulation.call("POST", "/v1/candidate/redeem", body, **headers)
        session_id = self.sessions[candidate.name] = response["sessionId"]
        # Stay within the time limit.
        share = 0.95 if candidate.note == "long" else rng.uniform(0.35, 0.9)
        factor = share * 60 * (task["timeLimitMinutes"] or 100) / work.seconds
        actions = [action._replace(pause=action.pause * factor) for action in work.actions]
        if candidate.outcome == "idle":
            actions = actions[:1]
        if signer:
            client = client_events.Client(session_id, signer, task["tool"], task["model"], candidate.number)
            yield from self._send_events(client, actions, headers)
        else:
            coding_agent = agent.Agent(candidate.number, task["model"], candidate.note == "proxy")
            yield from self._send_requests(coding_agent, actions, headers)
        if candidate.is_open or candidate.outcome in ("limit", "closed"):
            return
        yield self.simulation.now + MINUTE
        if candidate.number % 6 or candidate.name in cast.HIGHLIGHTS:
            bundle = self._organization.repositories[candidate.task].commit(work.files).bundle()
            self.simulation.call("PUT", "/v1/candidate/submission", bundle, media_type=GIT_BUNDLE, **headers)
        self.simulation.call(
            "POST", "/v1/candidate/complete", {"key": key["key"], "sessionId": session_id}, **headers
        )

    def _send_events(
        self, client: client_events.Client, actions: list[Action], headers: dict[str, str]
    ) -> Script:
        time = self.simulation.now
        events: list[client_events.Event] = []
        for number, action in enumerate(actions):
            time += timedelta(seconds=action.pause)
            events += client.events(action, time)
            next_pause = actions[number + 1].pause if number + 1 < len(actions) else BATCH_SECONDS
            if next_pause >= BATCH_SECONDS or len(events) >= BATCH_EVENTS:
                yield time + timedelta(seconds=1)
                self.simulation.call("POST", "/v1/hooks/ingest/batch", {"events": events}, **headers)
                events = []

    def _send_requests(
        self, coding_agent: agent.Agent, actions: list[Action], headers: dict[str, str]
    ) -> Script:
        headers = headers | {
            "User_Agent": f"claude-cli/{agent.VERSION}",
            "X_Claude_Code_Session_Id": coding_agent.session,
        }
        for action in actions:
            yield self.simulation.now + timedelta(seconds=action.pause)
            for request in coding_agent.requests(action, self.simulation.now):
                self.servers.message, self.servers.request_id = request.response or {}, request.request_id
                self.simulation.call("POST", request.path, request.body, **headers)
                yield self.simulation.now + REQUEST_PAUSE

    def _work(self, candidate: Candidate, rng: random.Random) -> Work:
        level = candidate.level
        plan = Plan(
            level=level,
            rounds=rng.randint(2, 9),
            flaw_probability=(0.9, 0.6, 0.3)[level - 1],
            manual_edits=rng.randint(0, 3),
            corrects=level > 1 or rng.random() < 0.4,
            cases=185 if candidate.note == "long" else 0,
        )
        return Work(self._tasks[candidate.task], plan, candidate.number)

    def _tamper(self, session_id: str) -> None:
        """Change a failed test run to a passed one in the database, after the ledger lists it."""
        self.simulation.run_worker()
        path = f"/v1/sessions/{session_id}/timeline?kind=command&limit=200"
        events = self._call_as("service", "GET", path)["events"]
        failed_id = next(event["id"] for event in events if event["summary"].endswith("exit 1"))
        envelope = "replace(envelope, '\"exitCode\": 1', '\"exitCode\": 0')"
        db.execute_sql(f"UPDATE events SET envelope = {envelope} WHERE event_id = ?", [failed_id])

    # Reviews

    def _review(self, candidate: Candidate, key_id: str) -> Script:
        day = self.simulation.now.replace(hour=0, minute=0) + DAY
        session_id = self.sessions[candidate.name]
        yield day + 9 * HOUR + candidate.number * 5 * MINUTE
        if candidate.note == "tests":
            passed, failed = (7, 0) if candidate.level > 1 else (4, 3)
            result = {"passed": passed, "failed": failed, "skipped": 0, "note": "Our tests, in a clean clone"}
            self._call_as("service", "PUT", f"/v1/sessions/{session_id}/test-result", result)
        self._score(candidate, session_id, 0)
        if candidate.outcome != "one":
            yield day + 13 * HOUR + candidate.number * 4 * MINUTE
            self._score(candidate, session_id, 1)
        if candidate.outcome == "disagreed" and candidate.task == "bookings":
            yield day + 16 * HOUR
            path = f"/v1/sessions/{session_id}/scores/correctness"
            body = {"value": 3, "comment": reviews.comment("correctness", 3)}
            body |= {"reason": "I missed that an existing database is upgraded."}
            self._call_as("reviewer 2", "PUT", path, body)
        if candidate.outcome in reviews.REASONS:
            yield day + 33 * HOUR + candidate.number * 3 * MINUTE
            self._decide(candidate, key_id, "advanced" if candidate.outcome == "hired" else candidate.outcome)
        if candidate.outcome == "hired":
            yield day + 4 * DAY + 15 * HOUR
            self._decide(candidate, key_id, "hired")

    def _score(self, candidate: Candidate, session_id: str, reviewer: int) -> None:
        name, rubric = ("reviewer", "reviewer 2")[reviewer], self._tasks[candidate.task]["rubric"]
        path = f"/v1/sessions/{session_id}/timeline?without=tool_intent&limit=200"
        events = self._call_as(name, "GET", path)["events"]
        for criterion, value, comment in reviews.scores(candidate, rubric, reviewer):
            evidence = reviews.evidence(events, criterion, reviewer)
            body = {"value": value, "comment": comment, "evidence": evidence}
            self._call_as(name, "PUT", f"/v1/sessions/{session_id}/scores/{criterion}", body)

    def _decide(self, candidate: Candidate, key_id: str, decision: str) -> None:
        body = {"decision": decision, "reason": reviews.reason(candidate, decision)}
        self._call_as("admin", "PUT", f"/v1/candidates/{key_id}/decision", body)

    # Times

    def _start(self, candidate: Candidate) -> datetime:
        if candidate.is_open:
            return self.end - (55 if candidate.outcome == "running" else 25) * MINUTE
        time_of_day = 8 * HOUR + candidate.days % 1 * 20 * HOUR + candidate.number * MINUTE
        return self._day(int(candidate.days)) + time_of_day

    def _day(self, days_ago: int) -> datetime:
        return self.end.replace(hour=0, minute=0, second=0, microsecond=0) - days_ago * DAY

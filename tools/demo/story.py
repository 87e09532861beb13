"""Three weeks of invitations, sessions, scores and decisions, as scripts for `Past`."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tools.demo import agent, cast, client_events, reviews
from tools.demo.cast import Candidate
from tools.demo.organization import Organization
from tools.demo.past import Past, Script
from tools.demo.servers import Neighbour
from tools.demo.work import Action, Plan, Work

BATCH_EVENTS = 50
ROUND_SECONDS = 60
REQUEST_PAUSE = timedelta(milliseconds=120)
GIT_BUNDLE = "application/x-git-bundle"
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
# Notes of candidates whose work the service records; all others use the client.
RECORDED = ("hooks", "proxy")
SCORED = ("scored", "disagreed", "one", "advanced", "rejected", "hired")


class Story:
    """The candidates' history until `end`; keeps the ids of their `sessions` by their numbers.

    model -- the provider that the service forwards model calls to
    """

    def __init__(self, past: Past, organization: Organization, model: Neighbour, end: datetime):
        self.past, self.model, self.end = past, model, end
        self.sessions: dict[int, str] = {}
        self._organization, self._tasks = organization, organization.tasks
        self._as = organization.call

    @property
    def start(self) -> datetime:
        return self._day(21)

    def scripts(self) -> Iterator[Script]:
        yield self._failing_webhook()
        for candidate in cast.candidates():
            yield self._candidate(candidate)

    def _failing_webhook(self) -> Script:
        # A webhook is disabled after 56 hours without a success; this one is still tried.
        yield self.end - 40 * HOUR
        self._organization.add_failing_webhook()

    # Candidates

    def _candidate(self, candidate: Candidate) -> Script:
        began = self._began(candidate)
        rng = random.Random(f"candidate {candidate.number}")
        # The candidates of a day are invited together, before the session's day.
        morning = began.replace(hour=9, minute=30, second=0, microsecond=0) - rng.randint(1, 3) * DAY
        invited = morning if candidate.has_session else began
        yield invited
        key = self._invite(candidate)
        yield invited + MINUTE
        self.past.work()
        if candidate.note == "extra":
            yield invited + 2 * HOUR
            path = f"/v1/candidates/{key['id']}/accommodation"
            self._as("admin", "PUT", path, {"timeMultiplier": 1.5})
        if candidate.fate == "bounced":
            yield invited + 3 * HOUR
            self.past.flask("deliveries", "bounce", candidate.email)
        if candidate.fate == "revoked":
            yield invited + DAY
            self._as("reviewer", "DELETE", f"/v1/assessments/{self._id(candidate)}/keys/{key['id']}")
        if candidate.has_session:
            yield began
            yield from self._session(candidate, key, began, rng)
        if candidate.note == "tampered":
            yield self.past.now + 3 * MINUTE
            self._tamper(self.sessions[candidate.number])
        if candidate.fate in SCORED:
            yield from self._review(candidate, key["id"])
        yield from self._end(candidate, key)

    def _invite(self, candidate: Candidate) -> dict[str, Any]:
        about = {"name": candidate.name, "email": candidate.email, "externalId": candidate.external_id}
        body = {"count": 1, "candidates": [about | {"metadata": {"source": candidate.source}}]}
        path = f"/v1/assessments/{self._id(candidate)}/keys"
        return self._as("reviewer", "POST", path, body)["keys"][0]

    def _session(
        self, candidate: Candidate, key: dict[str, Any], began: datetime, rng: random.Random
    ) -> Script:
        task, work = self._tasks[candidate.task], self._work(candidate, rng)
        own = {"X_API_Key": key["key"]}
        disclosure = self.past.call("GET", "/v1/candidate/consent", **own)
        body = {"key": key["key"], "disclosureHash": disclosure["disclosureHash"]}
        self.past.call("POST", "/v1/candidate/consent", body, **own)
        yield began + 2 * MINUTE
        signer = client_events.Signer(candidate.number) if candidate.note not in RECORDED else None
        public = {"signingPubKey": signer.public_key} if signer else {}
        redeemed = self.past.call("POST", "/v1/candidate/redeem", {"key": key["key"]} | public, **own)
        session_id = self.sessions[candidate.number] = redeemed["sessionId"]
        factor = self._seconds(candidate, rng) / work.seconds
        actions = [action._replace(pause=action.pause * factor) for action in work.actions]
        if candidate.fate == "idle":
            actions = actions[:1]
        if signer:
            client = client_events.Client(session_id, signer, task["tool"], task["model"], candidate.number)
            yield from self._send_events(client, actions, own)
        else:
            coding_agent = agent.Agent(candidate.number, task["model"], candidate.note == "proxy")
            yield from self._send_requests(coding_agent, actions, own)
        if candidate.is_open or candidate.fate in ("limit", "closed"):
            return
        yield self.past.now + MINUTE
        if candidate.number % 6 or candidate.name in cast.PLACES_TO_START:
            bundle = self._organization.starts[candidate.task].commit(work.files, "Submission").bundle()
            self.past.call("PUT", "/v1/candidate/submission", bundle, media_type=GIT_BUNDLE, **own)
        self.past.call("POST", "/v1/candidate/complete", {"key": key["key"], "sessionId": session_id}, **own)

    def _send_events(
        self, client: client_events.Client, actions: list[Action], own: dict[str, str]
    ) -> Script:
        time = self.past.now
        waiting: list[client_events.Event] = []
        for number, action in enumerate(actions):
            time += timedelta(seconds=action.pause)
            waiting += client.events(action, time)
            following = actions[number + 1].pause if number + 1 < len(actions) else ROUND_SECONDS
            if following >= ROUND_SECONDS or len(waiting) >= BATCH_EVENTS:
                yield time + timedelta(seconds=1)
                self.past.call("POST", "/v1/hooks/ingest/batch", {"events": waiting}, **own)
                waiting = []

    def _send_requests(self, coding_agent: agent.Agent, actions: list[Action], own: dict[str, str]) -> Script:
        headers = own | {
            "User_Agent": f"claude-cli/{agent.VERSION}",
            "X_Claude_Code_Session_Id": coding_agent.session,
        }
        for action in actions:
            yield self.past.now + timedelta(seconds=action.pause)
            for request in coding_agent.requests(action, self.past.now):
                self.model.answer, self.model.request_id = request.answer or {}, request.request_id
                self.past.call("POST", request.path, request.body, **headers)
                yield self.past.now + REQUEST_PAUSE

    def _work(self, candidate: Candidate, rng: random.Random) -> Work:
        level = candidate.level
        plan = Plan(
            level=level,
            rounds=rng.randint(2, 9),
            pace=1,
            slips=(0.9, 0.6, 0.3)[level - 1],
            by_hand=rng.randint(0, 3),
            corrects=level > 1 or rng.random() < 0.4,
            cases=185 if candidate.note == "long" else 0,
        )
        return Work(self._tasks[candidate.task], plan, candidate.number)

    def _seconds(self, candidate: Candidate, rng: random.Random) -> float:
        """The length of a session, within the time limit."""
        minutes = self._tasks[candidate.task]["timeLimitMinutes"] or 100
        if candidate.note == "long":
            return 0.95 * 60 * minutes
        return rng.uniform(0.35, 0.9) * 60 * minutes

    def _tamper(self, session_id: str) -> None:
        """Change a failed test run in the database to one that passed, after the worker has sealed it."""
        self.past.work()
        path = f"/v1/sessions/{session_id}/timeline?kind=command&limit=200"
        events = self._as("service", "GET", path)["events"]
        failed = next(event["id"] for event in events if event["summary"].endswith("exit 1"))
        changed = "replace(envelope, '\"exitCode\": 1', '\"exitCode\": 0')"
        self.past.execute(f"UPDATE events SET envelope = {changed} WHERE event_id = ?", failed)

    # Reviews

    def _review(self, candidate: Candidate, key_id: str) -> Script:
        day = self.past.now.replace(hour=0, minute=0) + DAY
        session_id = self.sessions[candidate.number]
        yield day + 9 * HOUR + candidate.number * 5 * MINUTE
        if candidate.note == "tests":
            result: dict[str, Any] = (
                {"passed": 7, "failed": 0} if candidate.level > 1 else {"passed": 4, "failed": 3}
            )
            result |= {"skipped": 0, "note": "Our own tests, in a clean clone"}
            self._as("service", "PUT", f"/v1/sessions/{session_id}/test-result", result)
        self._score(candidate, session_id, 0)
        if candidate.fate != "one":
            yield day + 13 * HOUR + candidate.number * 4 * MINUTE
            self._score(candidate, session_id, 1)
        if candidate.fate == "disagreed" and candidate.task == "retries":
            yield day + 16 * HOUR
            self._revise(candidate, session_id)
        if candidate.fate in reviews.REASONS:
            yield day + 33 * HOUR + candidate.number * 3 * MINUTE
            decided = "advanced" if candidate.fate == "hired" else candidate.fate
            self._decide(candidate, key_id, decided)
        if candidate.fate == "hired":
            yield day + 4 * DAY + 15 * HOUR
            self._decide(candidate, key_id, "hired")

    def _score(self, candidate: Candidate, session_id: str, reviewer: int) -> None:
        who, rubric = ("reviewer", "reviewer 2")[reviewer], self._tasks[candidate.task]["rubric"]
        path = f"/v1/sessions/{session_id}/timeline?without=tool_intent&limit=200"
        events = self._as(who, "GET", path)["events"]
        for criterion, value, comment in reviews.scores(candidate, rubric, reviewer):
            chosen = list(reviews.evidence(events, criterion, reviewer))
            body = {"value": value, "comment": comment, "evidence": chosen}
            self._as(who, "PUT", f"/v1/sessions/{session_id}/scores/{criterion}", body)

    def _revise(self, candidate: Candidate, session_id: str) -> None:
        """One reviewer changes their mind about one criterion."""
        path = f"/v1/sessions/{session_id}/scores"
        body = {"value": 2, "comment": reviews.comment("correctness", 2)}
        body |= {"reason": "I missed that nothing happens to existing data."}
        self._as("reviewer 2", "PUT", f"{path}/correctness", body)

    def _decide(self, candidate: Candidate, key_id: str, decision: str) -> None:
        body = {"decision": decision, "reason": reviews.reason(candidate, decision)}
        self._as("admin", "PUT", f"/v1/candidates/{key_id}/decision", body)

    def _end(self, candidate: Candidate, key: dict[str, Any]) -> Script:
        """The last steps."""
        if candidate.fate == "closed":
            yield self.past.now + DAY
            self._as("reviewer", "POST", f"/v1/sessions/{self.sessions[candidate.number]}/close")
        if candidate.fate in ("erased", "erasure"):
            yield self.past.now + 3 * DAY
            self.past.call("POST", "/v1/candidate/me/erasure-request", X_API_Key=key["key"])
        if candidate.fate == "erased":
            yield self.past.now + 5 * HOUR
            self._as("admin", "DELETE", f"/v1/candidates/{key['id']}/data")

    # Helpers

    def _began(self, candidate: Candidate) -> datetime:
        if candidate.is_open:
            return self.end - (55 if candidate.fate == "running" else 25) * MINUTE
        time_of_day = 8 * HOUR + candidate.days % 1 * 20 * HOUR + candidate.number * MINUTE
        return self._day(int(candidate.days)) + time_of_day

    def _day(self, days_ago: int) -> datetime:
        return self.end.replace(hour=0, minute=0, second=0, microsecond=0) - days_ago * DAY

    def _id(self, candidate: Candidate) -> str:
        return self._organization.assessments[candidate.task]

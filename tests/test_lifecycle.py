"""Random actions on assessments, keys and sessions match the reference model."""

from datetime import UTC, datetime, timedelta

import factories
import hypothesis
import pytest
from callers import Caller
from hypothesis import stateful
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, rule
from lifecycle_model import CREATED, NOT_FOUND, OK, Assessment, Key

import models
from models import db, sessions
from models.ledger import numbering
from ops import ledger
from rules.timestamps import format_timestamp

DUPLICATE = (409, "duplicate_candidates")
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
# Before and after each limit: grace period, late events, expiry
PAUSE_MINUTES = [1, 5, 10, 11, 30, 60, 24 * 60, 24 * 60 + 1, 3 * 24 * 60, 30 * 24 * 60]
EMAILS = ["alice@example.com", "Alice@Example.com", "bob@example.com"]
STATUSES = ("pending", "active", "completed", "expired", "hired")
assessments, keys = Bundle("assessments"), Bundle("keys")


def action(verb, method, path, field=None, values=()):
    """Build a rule that sends a reviewer's request for a key, with one of the values in the body."""

    @rule(key=keys, value=st.sampled_from([*values] or [None]))
    def act(self, key, value):
        body = {field: value} if value or method == "PATCH" else {}
        session = f"/v1/sessions/{key.session_id or UNKNOWN_ID}"
        url = path.format(key=key, candidate=f"/v1/candidates/{key.id}", session=session)
        response = self.reviewer.request(method, url, json=body if field else None)
        self.check(response, getattr(key, verb)(*([value] if field else []), self.now))

    act.__name__ = verb
    return act


class Lifecycle(stateful.RuleBasedStateMachine):
    """One organization with its reviewer and candidates, rolled back after each run."""

    def __init__(self, app):
        super().__init__()
        self.savepoint = db.savepoint()
        self.savepoint.__enter__()
        models.clock.fixed = datetime(2026, 4, 1, 9, tzinfo=UTC)
        self.app = app
        self.organization = factories.make_organization()
        self.rubric = factories.make_rubric(self.organization)
        self.reviewer = Caller.reviewer(app, self.organization)
        self.anonymous = Caller(app)
        self.known_assessments: list[Assessment] = []
        self.known_keys: list[Key] = []

    def teardown(self):
        try:
            self.check_final_state()
        finally:
            models.clock.fixed = None
            self.savepoint.rollback()
            self.savepoint.__exit__(None, None, None)

    @property
    def now(self):
        return models.clock.now()

    @staticmethod
    def check(response, expected):
        assert (response.status_code, response.json.get("code")) == expected, response.text
        return response.json

    @rule(target=assessments, limit=st.sampled_from([None, 1, 30]), days=st.sampled_from([1, 7]))
    def create_assessment(self, limit, days):
        body = {"title": "One", "role": "Engineer", "taskBrief": "Fix it.", "timeLimitMinutes": limit}
        body |= {"expiresInDays": days, "rubricId": str(self.rubric.id)}
        created = self.check(self.reviewer.post("/v1/assessments", body), CREATED)["assessment"]
        self.known_assessments.append(Assessment(created["id"], limit, days))
        return self.known_assessments[-1]

    @rule(
        assessment=assessments,
        change=st.sampled_from([("title", "Two"), ("limit", 60), ("limit", None), ("days", 3)]),
    )
    def update_assessment(self, assessment, change):
        name = {"title": "title", "limit": "timeLimitMinutes", "days": "expiresInDays"}[change[0]]
        response = self.reviewer.patch(f"/v1/assessments/{assessment.id}", {name: change[1]})
        self.check(response, assessment.update(*change))

    @rule(assessment=assessments)
    def delete_assessment(self, assessment):
        response = self.reviewer.delete(f"/v1/assessments/{assessment.id}")
        self.check(response, NOT_FOUND if assessment.deleted else OK)
        assessment.deleted = True

    @rule(target=keys, assessment=assessments, count=st.integers(1, 2))
    def generate_keys_without_emails(self, assessment, count):
        return self._generate(assessment, [None] * count, {"count": count}, CREATED)

    @rule(
        target=keys,
        assessment=assessments,
        emails=st.lists(st.sampled_from(EMAILS), min_size=1, max_size=3),
        on_duplicate=st.sampled_from(["allow", "return", "reject"]),
    )
    def generate_keys(self, assessment, emails, on_duplicate):
        body = {"count": len(emails), "candidateEmails": emails, "onDuplicate": on_duplicate}
        has_open_key = any(assessment.open_key(email, self.now) for email in emails)
        is_duplicate = has_open_key or len({email.casefold() for email in emails}) < len(emails)
        is_rejected = on_duplicate == "reject" and is_duplicate
        return self._generate(assessment, emails, body, DUPLICATE if is_rejected else CREATED)

    def _generate(self, assessment, emails, body, expected):
        response = self.reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
        created = self.check(response, NOT_FOUND if assessment.deleted else expected).get("keys", [])
        new = [self._new_key(assessment, email, entry) for email, entry in zip(emails, created, strict=False)]
        return multiple(*filter(None, new))

    def _new_key(self, assessment, email, created):
        """Return the new key, or None for an existing key, which must be open in the model."""
        if any(key.id == created["id"] for key in assessment.keys):
            assert assessment.open_key(email, self.now).id == created["id"]
            return None
        key = Key(
            created["id"], created["key"], assessment, email, self.now + timedelta(days=assessment.days)
        )
        assessment.keys.append(key)
        self.known_keys.append(key)
        return key

    revoke = action("revoke", "DELETE", "/v1/assessments/{key.assessment.id}/keys/{key.id}")
    invite = action("invite", "POST", "{candidate}/invite")
    extend = action("extend", "POST", "{candidate}/extend", "days", [1, 7, 365])
    reopen = action("reopen", "POST", "{candidate}/reopen", "days", [None, 2])
    accommodate = action("accommodate", "PUT", "{candidate}/accommodation", "extraMinutes", [0, 1, 30, 1440])
    allow_redeem = action("allow_redeem", "POST", "{candidate}/allow-redeem")
    hire = action("hire", "PATCH", "{candidate}", "hired", [True, False])
    update_email = action("update_email", "PATCH", "{candidate}", "candidateEmail", [None, *EMAILS])
    erase = action("erase", "DELETE", "{candidate}/data")
    close = action("close", "POST", "{session}/close")
    score = action("submit_score", "PUT", "{session}/scores/quality", "value", [1, 2])

    @rule(key=keys)
    def consent(self, key):
        self.check(self.anonymous.post("/v1/candidate/consent", {"key": key.key}), key.consent(self.now))

    @rule(key=keys)
    def redeem(self, key):
        response = self.anonymous.post("/v1/candidate/redeem", {"key": key.key})
        body = self.check(response, key.redeem(self.now))
        if "sessionId" in body:
            assert key.session_id in (None, body["sessionId"])
            key.session_id = body["sessionId"]

    @rule(key=keys)
    def start_session(self, key):
        """Consent and redeem in one step; more runs then reach later actions."""
        self.consent(key)
        self.redeem(key)

    @rule(key=keys, number=st.integers(1, 3))
    def ingest(self, key, number):
        event = factories.envelope(id=f"event {number}")
        response = Caller(self.app, **{"X-API-Key": key.key}).post("/v1/hooks/ingest", event)
        self.check(response, key.ingest(event["id"], self.now))

    @rule(key=keys)
    def complete(self, key):
        request = {"key": key.key, "sessionId": key.session_id or UNKNOWN_ID}
        body = self.check(self.anonymous.post("/v1/candidate/complete", request), key.complete(self.now))
        if "completedAt" in body:
            completed_at = key.session.completed_at or key.session.closed_at
            assert body["completedAt"] == format_timestamp(completed_at)

    @rule(minutes=st.sampled_from(PAUSE_MINUTES))
    def advance_clock(self, minutes):
        models.clock.fixed += timedelta(minutes=minutes)

    @rule()
    def run_worker(self):
        models.sessions.close_all_due()
        numbering.number_new()

    @rule(key=keys)
    def read_session(self, key):
        response = self.reviewer.get(f"/v1/sessions/{key.session_id or UNKNOWN_ID}")
        if key.session is None or key.assessment.deleted:
            assert response.status_code == 404
            return
        body, session = response.json, key.session
        assert body["status"] == session.status(self.now)
        assert (body["eventCount"], body["lateEventCount"]) == (session.count(False), session.count(True))
        assert (body["metrics"] is not None) == (session.closed_as_of(self.now) is not None)
        if body["metrics"]:
            assert body["metrics"]["promptCount"] == session.count(late=False)
        score = self.reviewer.get(f"/v1/sessions/{key.session_id}/scores").json["criteria"][0]["score"]
        assert (score and score["value"]) == session.score

    @rule(assessment=assessments)
    def read_cohort(self, assessment):
        response = self.reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats")
        if assessment.deleted:
            assert response.status_code == 404
            return
        stats = response.json["cohortStats"]
        assert (stats["sessionCount"] if stats else 0) == assessment.cohort_size(self.now)

    # Checked after each action

    @invariant()
    def assessments_are_listed(self):
        rows = self.reviewer.get("/v1/assessments").json["assessments"]
        alive = [(row.id, row.title) for row in self.known_assessments if not row.deleted]
        assert sorted((row["id"], row["title"]) for row in rows) == sorted(alive)

    @invariant()
    def candidates_are_listed_and_their_statuses_counted(self):
        alive = {key.id: key for key in self.known_keys if key.is_alive()}
        body = self.reviewer.get("/v1/candidates", limit=100).json
        assert body["total"] == len(body["candidates"])
        names = ("status", "candidateEmail", "sessionId", "expiresAt", "redeemedAt", "completedAt")
        actual = {row["id"]: tuple(row[name] for name in names) for row in body["candidates"]}
        assert actual == {key_id: self._expected_fields(key) for key_id, key in alive.items()}
        status = STATUSES[len(self.known_keys) % 5]
        total = self.reviewer.get("/v1/candidates", status=status, limit=1).json["total"]
        assert total == sum(key.status(self.now) == status for key in alive.values())

    def _expected_fields(self, key):
        times = (key.session.redeemed_at, key.session.completed_at) if key.session else (None, None)
        timestamps = (time and format_timestamp(time) for time in (key.expires_at, *times))
        return (key.status(self.now), key.email, key.session_id, *timestamps)

    @invariant()
    def sessions_are_listed(self):
        rows = self.reviewer.get("/v1/sessions", limit=100).json["sessions"]
        known = [key for key in self.known_keys if key.session and not key.assessment.deleted]
        assert {row["id"]: (row["status"], row["candidateEmail"]) for row in rows} == {
            key.session_id: (key.session.status(self.now), key.email) for key in known
        }

    def check_final_state(self):
        self.run_worker()
        for key in self.known_keys:
            self.read_session(key)
            if key.session and key.session.closed_as_of(self.now):
                assert sessions.rederive(models.Session.get_by_id(key.session_id)) == {}
        for assessment in self.known_assessments:
            self.read_cohort(assessment)
        assert list(ledger.differences(self.organization)) == []


@pytest.mark.parametrize(("examples", "steps"), [(4, 15), pytest.param(10, 50, marks=pytest.mark.slow)])
def test_random_lifecycles_match_the_model(app, examples, steps):
    checks = hypothesis.HealthCheck
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=[checks.too_slow, checks.data_too_large, checks.filter_too_much],
    )
    stateful.run_state_machine_as_test(lambda: Lifecycle(app), settings=settings)

"""The life of assessments, keys and sessions: whatever is done in whatever order, the service is where the model is."""

from datetime import UTC, datetime, timedelta

import factories
import hypothesis
import pytest
from callers import Caller
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from life_model import MADE, Assessment, Key

import models
from models import Seal, audit, db, sessions
from rules.instants import text_of

NOBODY = "00000000-0000-7000-8000-000000000000"
# Around every limit that there is, and past it: grace, flush, late events, expiry.
PAUSES = [1, 5, 10, 11, 30, 60, 24 * 60, 24 * 60 + 1, 3 * 24 * 60, 30 * 24 * 60]
EMAILS = ["alice@example.com", "Alice@Example.com", "bob@example.com"]


class Life(RuleBasedStateMachine):
    """One organization, through HTTP as its reviewer and its candidates; `undone` takes all of it back."""

    assessments = Bundle("assessments")
    keys = Bundle("keys")

    def __init__(self, app):
        super().__init__()
        self.undone = db.savepoint()
        self.undone.__enter__()
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
            self.everything_fits_in_the_end()
        finally:
            models.clock.fixed = None
            self.undone.rollback()
            self.undone.__exit__(None, None, None)

    @property
    def now(self):
        return models.clock.now()

    @staticmethod
    def agrees(answer, expected):
        found = (answer.status_code, answer.json.get("code"))
        assert found == expected, answer.text
        return answer.json

    # Assessments

    @rule(target=assessments, limit=st.sampled_from([None, 1, 30]), days=st.sampled_from([1, 7]))
    def create_assessment(self, limit, days):
        body = {"title": "One", "role": "Engineer", "taskBrief": "Fix it.", "timeLimitMinutes": limit}
        body |= {"expiresInDays": days, "rubricId": str(self.rubric.id)}
        made = self.agrees(self.reviewer.post("/v1/assessments", body), MADE)["assessment"]
        self.known_assessments.append(Assessment(made["id"], limit, days, "One"))
        return self.known_assessments[-1]

    @rule(
        assessment=assessments,
        change=st.sampled_from([("title", "Two"), ("limit", 60), ("limit", None), ("days", 3)]),
    )
    def change_assessment(self, assessment, change):
        spelt = {"title": "title", "limit": "timeLimitMinutes", "days": "expiresInDays"}[change[0]]
        answer = self.reviewer.patch(f"/v1/assessments/{assessment.id}", {spelt: change[1]})
        self.agrees(answer, assessment.change(*change))

    @rule(assessment=assessments)
    def delete_assessment(self, assessment):
        answer = self.reviewer.delete(f"/v1/assessments/{assessment.id}")
        self.agrees(answer, (404, "not_found") if assessment.deleted else (200, None))
        assessment.deleted = True

    # Keys

    @rule(target=keys, assessment=assessments, count=st.integers(1, 2))
    def issue_without_addresses(self, assessment, count):
        return self._issued(assessment, [None] * count, {"count": count})

    @rule(
        target=keys,
        assessment=assessments,
        emails=st.lists(st.sampled_from(EMAILS), min_size=1, max_size=3),
        on_duplicate=st.sampled_from(["allow", "return", "refuse"]),
    )
    def issue(self, assessment, emails, on_duplicate):
        body = {"count": len(emails), "candidateEmails": emails, "onDuplicate": on_duplicate}
        found = [assessment.open_key(email, self.now) for email in emails]
        folded = [email.casefold() for email in emails]
        if (
            on_duplicate == "refuse"
            and (any(found) or len(set(folded)) < len(folded))
            and not assessment.deleted
        ):
            answer = self.reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
            self.agrees(answer, (409, "duplicate_candidates"))
            return multiple()
        return self._issued(assessment, emails, body)

    def _issued(self, assessment, emails, body):
        answer = self.reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
        shown = self.agrees(answer, (404, "not_found") if assessment.deleted else MADE).get("keys", [])
        fresh = [self._key(assessment, email, one) for email, one in zip(emails, shown, strict=False)]
        return multiple(*(key for key in fresh if key))

    def _key(self, assessment, email, shown):
        """The new key that the answer shows; None for one that was there, which the model must know too."""
        if any(key.id == shown["id"] for key in assessment.keys):
            assert assessment.open_key(email, self.now).id == shown["id"]
            return None
        key = Key(shown["id"], shown["key"], assessment, email, self.now + timedelta(days=assessment.days))
        assessment.keys.append(key)
        self.known_keys.append(key)
        return key

    @rule(key=keys)
    def revoke(self, key):
        path = f"/v1/assessments/{key.assessment.id}/keys/{key.id}"
        self.agrees(self.reviewer.delete(path), key.revoke())

    @rule(key=keys)
    def invite(self, key):
        self.agrees(self._for(key, "invite"), key.invite(self.now))

    @rule(key=keys, days=st.sampled_from([1, 7, 365]))
    def extend(self, key, days):
        self.agrees(self._for(key, "extend", {"days": days}), key.extend(days, self.now))

    @rule(key=keys, days=st.sampled_from([None, 2]))
    def reopen(self, key, days):
        self.agrees(self._for(key, "reopen", {"days": days} if days else {}), key.reopen(days, self.now))

    @rule(key=keys, extra=st.sampled_from([0, 1, 30, 1440]))
    def accommodate(self, key, extra):
        body = {"extraMinutes": extra} if extra else {}
        answer = self.reviewer.put(f"/v1/candidates/{key.id}/accommodation", body)
        self.agrees(answer, key.accommodate(extra, self.now))

    @rule(key=keys)
    def allow_redeem(self, key):
        self.agrees(self._for(key, "allow-redeem"), key.allow_redeem(self.now))

    @rule(key=keys, hired=st.booleans())
    def hire(self, key, hired):
        answer = self.reviewer.patch(f"/v1/candidates/{key.id}", {"hired": hired})
        self.agrees(answer, key.hire(hired, self.now))

    @rule(key=keys, email=st.sampled_from([None, *EMAILS]))
    def change_address(self, key, email):
        answer = self.reviewer.patch(f"/v1/candidates/{key.id}", {"candidateEmail": email})
        self.agrees(answer, (200, None) if key.is_alive() else (404, "not_found"))
        key.email = email if key.is_alive() else key.email

    @rule(key=keys)
    def erase(self, key):
        answer = self.reviewer.delete(f"/v1/candidates/{key.id}/data")
        self.agrees(answer, key.erase(self.now))

    def _for(self, key, verb, body=None):
        return self.reviewer.post(f"/v1/candidates/{key.id}/{verb}", body)

    # Candidates

    @rule(key=keys)
    def agree(self, key):
        self.agrees(self.anonymous.post("/v1/candidate/consent", {"key": key.text}), key.agree(self.now))

    @rule(key=keys)
    def redeem(self, key):
        answer = self.anonymous.post("/v1/candidate/redeem", {"key": key.text})
        shown = self.agrees(answer, key.redeem(self.now))
        if "sessionId" in shown:
            assert key.session_id in (None, shown["sessionId"])
            key.session_id = shown["sessionId"]

    @rule(key=keys)
    def begin(self, key):
        """Consent and redeem in a row, so that more runs get to what comes after."""
        self.agree(key)
        self.redeem(key)

    @rule(key=keys, number=st.integers(1, 3))
    def ingest(self, key, number):
        event = factories.envelope(id=f"event {number}")
        answer = Caller.candidate(self.app, _Presented(key.text)).post("/v1/hooks/ingest", event)
        self.agrees(answer, key.ingest(event["id"], self.now))

    @rule(key=keys)
    def complete(self, key):
        body = {"key": key.text, "sessionId": key.session_id or NOBODY}
        shown = self.agrees(self.anonymous.post("/v1/candidate/complete", body), key.complete(self.now))
        if "completedAt" in shown:
            assert shown["completedAt"] == text_of(key.completion_told())

    # Sessions

    @rule(key=keys)
    def close(self, key):
        answer = self.reviewer.post(f"/v1/sessions/{key.session_id or NOBODY}/close")
        self.agrees(answer, key.close(self.now))

    @rule(key=keys, value=st.sampled_from([1, 2]))
    def score(self, key, value):
        path = f"/v1/sessions/{key.session_id or NOBODY}/scores/quality"
        self.agrees(self.reviewer.put(path, {"value": value}), key.score(value))

    # Time, and who looks

    @rule(minutes=st.sampled_from(PAUSES))
    def time_goes_by(self, minutes):
        models.clock.fixed += timedelta(minutes=minutes)

    @rule()
    def the_worker_comes_by(self):
        models.sessions.settle_all()
        Seal.seal_new()
        audit.chain_new()

    @rule(key=keys)
    def somebody_looks_at_the_session(self, key):
        answer = self.reviewer.get(f"/v1/sessions/{key.session_id or NOBODY}")
        if key.session is None or key.assessment.deleted:
            assert answer.status_code == 404
            return
        assert answer.json["status"] == key.session.status(self.now)
        assert answer.json["eventCount"] == key.session.count(late=False)
        assert answer.json["lateEventCount"] == key.session.count(late=True)
        assert (answer.json["metrics"] is not None) == (key.session.closed_as_of(self.now) is not None)
        if answer.json["metrics"]:
            assert answer.json["metrics"]["promptCount"] == key.session.count(late=False)

    @rule(key=keys)
    def somebody_looks_at_the_scores(self, key):
        answer = self.reviewer.get(f"/v1/sessions/{key.session_id or NOBODY}/scores")
        if answer.status_code == 200:
            score = answer.json["criteria"][0]["score"]
            assert (score and score["value"]) == key.session.score

    @rule(assessment=assessments)
    def somebody_looks_at_the_cohort(self, assessment):
        answer = self.reviewer.get(f"/v1/assessments/{assessment.id}/cohort-stats")
        if assessment.deleted:
            assert answer.status_code == 404
            return
        stats = answer.json["cohortStats"]
        assert (stats["sessionCount"] if stats else 0) == assessment.cohort(self.now)

    # What holds after each step; the lists write nothing, so that nobody's look hides what is wrong

    @invariant()
    def assessments_are_listed(self):
        shown = self.reviewer.get("/v1/assessments").json["assessments"]
        alive = [(each.id, each.title) for each in self.known_assessments if not each.deleted]
        assert sorted((one["id"], one["title"]) for one in shown) == sorted(alive)

    @invariant()
    def candidates_are_listed(self):
        shown = self.reviewer.get("/v1/candidates", limit=100).json
        assert shown["total"] == len(shown["candidates"])
        found = {one["id"]: self._listed(one) for one in shown["candidates"]}
        assert found == {key.id: self._known(key) for key in self.known_keys if key.is_alive()}

    def _listed(self, one):
        names = ("status", "candidateEmail", "sessionId", "expiresAt", "redeemedAt", "completedAt")
        return tuple(one[name] for name in names)

    def _known(self, key):
        began = key.session and text_of(key.session.began_at)
        completed = key.session and key.session.completed_at and text_of(key.session.completed_at)
        return key.status(self.now), key.email, key.session_id, text_of(key.expires_at), began, completed

    @invariant()
    def sessions_are_listed(self):
        shown = self.reviewer.get("/v1/sessions", limit=100).json["sessions"]
        known = {key.session_id: key for key in self.known_keys if key.session and not key.assessment.deleted}
        assert {one["id"] for one in shown} == set(known)
        for one in shown:
            key = known[one["id"]]
            assert (one["status"], one["candidateEmail"]) == (key.session.status(self.now), key.email)

    @invariant()
    def statuses_are_counted(self):
        status = ("pending", "active", "completed", "expired", "hired")[len(self.known_keys) % 5]
        shown = self.reviewer.get("/v1/candidates", status=status, limit=1).json
        alive = [key for key in self.known_keys if key.is_alive()]
        assert shown["total"] == sum(key.status(self.now) == status for key in alive)

    def everything_fits_in_the_end(self):
        self.the_worker_comes_by()
        for key in self.known_keys:
            self.somebody_looks_at_the_session(key)
            if key.session and key.session.closed_as_of(self.now):
                assert sessions.rederive(models.Session.get_by_id(key.session_id)) == {}
        for assessment in self.known_assessments:
            self.somebody_looks_at_the_cohort(assessment)
        assert audit.verify(self.organization).broken is None


class _Presented:
    def __init__(self, key):
        self.key = key


def live(app, examples, steps):
    checks = hypothesis.HealthCheck
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[checks.too_slow, checks.data_too_large, checks.filter_too_much],
    )
    run_state_machine_as_test(lambda: Life(app), settings=settings)


def test_a_short_life(app):
    live(app, examples=4, steps=15)


@pytest.mark.slow
def test_many_long_lives(app):
    live(app, examples=40, steps=50)

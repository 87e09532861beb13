"""A complete assessment with the generated Python client: python scenario.py URL TOKEN."""

import sys
import time
from datetime import UTC, datetime

from proofstone_client import AuthenticatedClient, Client, models
from proofstone_client.api.assessments import create_assessment, update_assessment
from proofstone_client.api.candidate import complete_session, get_consent, give_consent, redeem_key
from proofstone_client.api.candidate_keys import issue_keys
from proofstone_client.api.candidates import export_candidates
from proofstone_client.api.cohort_statistics import get_cohort_stats
from proofstone_client.api.events import ingest_batch
from proofstone_client.api.feed import list_events
from proofstone_client.api.organization import create_token
from proofstone_client.api.rubrics import create_rubric
from proofstone_client.api.scores import get_scores, put_score
from proofstone_client.api.webhooks import create_webhook
from receiver import Receiver

url, token = sys.argv[1:]
reviewer, anonymous = AuthenticatedClient(url, token), Client(url)
receiver = Receiver()
hook = create_webhook.sync(client=reviewer, body=models.NewWebhook(url=receiver.url))

levels = [models.Level(value=value, label=label) for value, label in ((1, "Weak"), (5, "Strong"))]
criterion = models.Criterion(key="quality", title="Quality", levels=levels)
rubric = create_rubric.sync(
    client=reviewer, body=models.NewRubric(name="Backend", criteria=[criterion])
).rubric
brief = models.NewAssessment(title="Backend", role="Engineer", task_brief="Find out why orders are lost.")
assessment = create_assessment.sync(client=reviewer, body=brief).assessment
update_assessment.sync(assessment.id, client=reviewer, body=models.AssessmentUpdate(rubric_id=rubric.id))
people = [models.NewCandidate(name=f"Candidate {n}", external_id=f"applicant-{n}") for n in range(12)]
keys = issue_keys.sync(assessment.id, client=reviewer, body=models.NewKeys(count=12, candidates=people)).keys
assert len(keys) == 12


def work(key: str) -> models.RedeemedSession:
    """Act as a candidate: consent, redeem, send events, complete."""
    disclosure_hash = get_consent.sync(client=anonymous, key=key).disclosure_hash
    consent = models.NewConsent(key=key, disclosure_hash=disclosure_hash)
    give_consent.sync(client=anonymous, body=consent)
    session = redeem_key.sync(client=anonymous, body=models.NewSession(key=key))
    candidate = AuthenticatedClient(url, key, prefix="", auth_header_name="X-API-Key")
    data = models.EnvelopeData.from_dict({"command": "pytest", "exitCode": 0})
    now = datetime.now(UTC).isoformat()
    events = [models.Envelope(id=str(n), kind="command", ts=now, v=1, data=data) for n in range(3)]
    ingested = ingest_batch.sync(client=candidate, body=models.EnvelopeBatch(events=events))
    assert {result.status for result in ingested.results} == {models.IngestedEventStatus.CREATED}
    completion = models.Completion(key=key, session_id=str(session.session_id))
    assert complete_session.sync(client=anonymous, body=completion).ok
    return session


first, second = [work(key.key) for key in keys][:2]
scopes = [models.NewTokenScopesItem.WRITE]
other = create_token.sync(client=reviewer, body=models.NewToken(name="Bob", scopes=scopes)).secret
for caller, value in ((reviewer, 1), (AuthenticatedClient(url, other), 5)):
    put_score.sync(first.session_id, "quality", client=caller, body=models.NewScore(value=value))
assert get_scores.sync(first.session_id, client=reviewer).criteria[0].key == "quality"

cohort = get_cohort_stats.sync(assessment.id, client=reviewer, session_id=str(second.session_id)).cohort_stats
assert cohort.session_count == 12
assert cohort.percentiles.prompt_count is not None
table = export_candidates.sync(client=reviewer, assessment_id=assessment.id)
assert len(table.splitlines()) == 13

completed, after = [], 0
while len(completed) < 12:
    page = list_events.sync(client=reviewer, after=after, types="session.completed")
    completed += page.events
    after = page.next_
    time.sleep(0.1)
assert isinstance(completed[0], models.SessionCompletedEvent)
assert completed[0].data.external_id in {f"applicant-{n}" for n in range(12)}
event = models.SessionCompletedEvent.from_dict(receiver.wait_for("session.completed", hook.secret))
assert event.data.assessment_id == assessment.id
print("done")

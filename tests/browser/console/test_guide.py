"""The printable interview guide: a session's moments with two questions each."""

import io

from pypdf import PdfReader

from tests.browser.console.test_print import HOSTILE, text_of
from tests.live.cast import ASSESSMENT, Candidate, event, invite


def test_the_guide_has_the_moments_with_their_questions(open_console, site, team):
    assessment = team.post("/v1/assessments", ASSESSMENT)["assessment"]
    (key,) = invite(team, assessment, "ada@example.com", candidateNames=["Ada Lindqvist"])["keys"]
    candidate = Candidate(site, key)
    guide = f"/sessions/{candidate.session_id}/guide"
    assert open_console(team, guide).shows("No moments. No rule matches the recorded events.")
    failed = event("command", 60, data={"command": "go test ./...", "exitCode": 1})
    candidate.ingest(failed)
    candidate.ingest(
        event("interrupt", 120, data={"variant": "tool_use", "cutTool": "Bash", "cutToolInput": HOSTILE})
    )
    visit = open_console(team, guide)
    assert visit.shows("found by fixed rules, version 1.")
    text = text_of(PdfReader(io.BytesIO(visit.page.pdf())).pages[0])
    for expected in (
        *("Ada Lindqvist", "Backend API Challenge", "The first test command known to have failed was"),
        *("“go test ./...”", "What did you learn from this result?", "What did you do next, and why?"),
        *("was rejected or interrupted: “Bash <img src=x onerror=alert(1)>", "gnp.exe”."),
    ):
        assert expected in text
    assert "Event 1" not in text
    assert not visit.page.get_by_text("Stored data altered").count()
    visit.page.get_by_role("link", name="Event 1").first.click()
    visit.page.wait_for_url(f"**/sessions/{candidate.session_id}?event={failed['id']}")
    assert visit.is_clean()
    changed = "UPDATE events SET envelope = replace(envelope, 'go test', 'pytest') WHERE session_id = %s"
    site.execute(changed, site.stored_id(candidate.session_id))
    assert open_console(team, guide).shows("Stored data altered")


def test_a_call_that_was_not_recorded_marks_the_guide(open_console, site, team):
    assessment = team.post("/v1/assessments", ASSESSMENT)["assessment"]
    candidate = Candidate(site, invite(team, assessment, "ada@example.com")["keys"][0])
    finding = {"code": "call_not_recorded", "explanation": "", "eventIds": [], "count": 1}

    def respond(route):
        route.fulfill(json=route.fetch().json() | {"findings": [finding]})

    guide = f"/sessions/{candidate.session_id}/guide"
    visit = open_console(team, guide, before=lambda page: page.route("**/integrity", respond))
    assert visit.shows("recording incomplete")

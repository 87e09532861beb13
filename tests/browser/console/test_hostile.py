"""Recordings that try to mislead reviewers, break the page, or link to other sites."""

from urllib.parse import quote

import pytest

from tests.browser.console.conftest import add_rubric, open_tab
from tests.browser.console.organization import INHERITED
from tests.browser.console.test_report import record, submit_files
from tests.live.cast import Candidate, event, make_candidate

REVERSED = "report\u202excod.exe\u2066 \u200binvisible\u200f"
COMBINING = "a" + "\u0323\u0301" * 50
ZERO_WIDTH = "\u200b"
MAX_ELEMENTS = 30_000
ANY_ID = ("..", ".", "compact", "/", "../scores", "a/b", "%2e%2e", "?x#y", " ")


@pytest.fixture
def candidate(site, team, assessment):
    add_rubric(team, assessment)
    return make_candidate(site, team, assessment)


@pytest.fixture
def open_part(open_console, team, candidate):
    """`open_part("?tab=usage")`: the candidate's report at this address."""
    return lambda part="": open_console(team, f"/sessions/{candidate.session_id}{part}")


def test_events_with_any_id_can_be_opened_and_printed(team, candidate, open_part):
    for n, name in enumerate(ANY_ID):
        record(candidate, event("command", n, id=name, data={"command": f"run {n}"}))
    score = {"value": 3, "evidence": list(ANY_ID)}
    team.request("PUT", f"/v1/sessions/{candidate.session_id}/scores/quality", score)
    visit = open_part()
    for n, name in enumerate(ANY_ID):
        visit.go(f"/sessions/{candidate.session_id}?event={quote(name, safe='')}")
        visit.page.locator(".event-detail pre").get_by_text(f'"command": "run {n}"').wait_for()
    visit.go(f"/sessions/{candidate.session_id}/print")
    visit.page.locator(".evidence li").last.wait_for()
    evidence = visit.page.locator(".evidence q").all_inner_texts()
    assert evidence == [f"run {n}" for n in range(len(ANY_ID))]
    assert visit.is_clean()


def test_a_session_with_large_events_can_be_opened_printed_and_compared(candidate, open_part):
    for second in range(10):
        record(candidate, event(second=second, data={"text": "x" * 900_000}))
    for tab in ("timeline", "conversation", "changes", "usage"):
        visit = open_part(f"?tab={tab}").settle()
        assert visit.page.get_by_role("alert").all_inner_texts() == []
        assert visit.is_clean()
        # The service rejects a further read of a large session.
        visit.page.context.close()
    visit = open_part("/print")
    assert visit.shows("Printed on")
    visit.go(f"/compare/{candidate.session_id}/{candidate.session_id}")
    assert visit.shows("Summary")
    assert visit.is_clean()


def test_names_of_object_properties_are_ordinary_names(candidate, open_part):
    record(candidate, event(data={"text": "Where are orders written?"}))
    named = [
        event("file_diff", n, actor={"type": name}, data={"path": name})
        for n, name in enumerate(INHERITED, 1)
    ]
    kinds = (*INHERITED, "Command", "\u202eCommand")
    record(candidate, *named, *(event(kind, 9) for kind in kinds))
    visit = open_part()
    assert visit.shows("11 of 11 events")
    visit.page.get_by_role("tab", name="Conversation").click()
    summary = visit.page.locator("summary", has_text="10 actions").inner_text()
    assert [summary.count(f"“{kind}”".replace("\u202e", "[U+202E]")) for kind in kinds] == [1] * 6
    assert visit.is_clean()


def test_many_files_lines_and_invisible_characters_are_shown_in_steps(candidate, open_part):
    file = "diff --git a/x b/x\n@@ -1 +1 @@\n"
    invisible = file + ("+" + f"a{ZERO_WIDTH}" * 1_000 + "\n") * 100
    diff = invisible + file + "+x\n" * 400_000 + (file + "+x\n") * 100_000
    submit_files(candidate, {"a": b"a"}, "https://example.com@evil.example.net/", diff, base_sha="a" * 40)
    record(candidate, *(event("decision_event", n, data={"title": f"Decision {n}"}) for n in range(60)))
    visit = open_part("?tab=changes")
    page = visit.page
    page.get_by_role("button", name="Show 200 more files").click()
    assert page.locator("details.diff").count() == 400
    page.locator("details.diff summary").nth(1).click()
    page.get_by_role("button", name="Show 1,000 more lines").click()
    assert page.locator("details.diff").nth(1).locator("tbody tr").count() == 1_300
    assert page.locator("*").count() < MAX_ELEMENTS
    assert ZERO_WIDTH not in page.locator("main").inner_text()
    open_tab(visit, "Design decisions")
    page.get_by_role("button", name="Show more").click()
    assert visit.shows("Decision 59")
    open_tab(visit, "Submission")
    assert visit.shows("https://example.com@evil.example.net/")
    assert page.get_by_role("link", name="example.com").count() == 0
    assert visit.is_clean()


def test_a_name_does_not_affect_the_surrounding_text(site, team, assessment, open_console):
    add_rubric(team, assessment)
    body = {"count": 1, "candidates": [{"name": REVERSED + COMBINING}]}
    named = Candidate(site, team.post(f"/v1/assessments/{assessment['id']}/keys", body)["keys"][0])
    named.complete()
    for path in (f"/assessments/{assessment['id']}", "/todo", f"/sessions/{named.session_id}"):
        visit = open_console(team, path).settle()
        assert visit.shows("U+202E")
        text = visit.page.locator("body").inner_text()
        assert "\u202e" not in text
        assert COMBINING[:7] not in text
        assert visit.is_clean()


def test_a_name_keeps_its_zero_width_joiners(site, team, assessment, open_console):
    name = "رضا\u200cپور"
    body = {"count": 1, "candidates": [{"name": name}]}
    candidate = Candidate(site, team.post(f"/v1/assessments/{assessment['id']}/keys", body)["keys"][0])
    for path in ("", "/score", "/print"):
        visit = open_console(team, f"/sessions/{candidate.session_id}{path}")
        visit.page.locator("main bdi", has_text=name).first.wait_for()

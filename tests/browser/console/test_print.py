"""The printable report: a PDF on A4 and Letter with everything that led to the decision."""

import io
import re
import unicodedata

import pytest
from pypdf import PdfReader

from tests.browser.console.conftest import RUBRIC, all_recorded
from tests.browser.console.organization import add_person
from tests.git_bundles.bundles import bundle, make_repository
from tests.live.cast import ASSESSMENT, Candidate, event, invite
from tests.live.service import wait_until

POINTS = {"A4": (595, 842), "Letter": (612, 792)}
HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.exe"


@pytest.fixture
def decided(site, team, tmp_path):
    """The id of a session that Bob and Carol scored, with Bob's decision. Its cohort has two sessions."""
    rubric = team.post("/v1/rubrics", RUBRIC)["rubric"]
    body = {"rubricId": rubric["id"], "timeLimitMinutes": 90, "taskBrief": "Find the lost orders.\n" * 30}
    assessment = team.post("/v1/assessments", ASSESSMENT | body)["assessment"]
    (other,) = invite(team, assessment, "bea@example.com", candidateNames=["Bea Other"])["keys"]
    Candidate(site, other).complete()
    (key,) = invite(team, assessment, "ada@example.com", candidateNames=["Ada Lindqvist"])["keys"]
    site.candidate(key["key"]).get(f"/v1/assessments/{assessment['id']}")
    candidate = Candidate(site, key)
    sent = [
        event("prompt", 0, data={"text": "Why are orders lost?"}),
        event("command", 60, data={"command": "go test ./...", "exitCode": 1}),
        event("prompt", 120, data={"text": HOSTILE}),
    ]
    for each in sent:
        candidate.ingest(each)
    make_repository(tmp_path / "work", {"orders.py": "import time\n", "long.txt": "line\n" * 300})
    candidate.submit_git_bundle(bundle(tmp_path / "work"))
    candidate.complete()
    path = f"/v1/sessions/{candidate.session_id}/scores/quality"
    evidence = [sent[0]["id"], sent[2]["id"]]
    bob, carol = add_person(team, "Bob Sample"), add_person(team, "Carol Diaz")
    bob.request("PUT", path, {"value": 3, "comment": "Found the race by reading.", "evidence": evidence})
    carol.request("PUT", path, {"value": 1, "comment": "Guessed first."})
    decision = {"decision": "advanced", "reason": "Careful fix, after a talk about the guess."}
    bob.request("PUT", f"/v1/candidates/{key['id']}/decision", decision)
    session, session_id = f"/v1/sessions/{candidate.session_id}", site.stored_id(candidate.session_id)
    with site.worker():
        wait_until(lambda: all_recorded(team, session), "The ledger does not list the events.")
        wait_until(lambda: team.get(session)["submission"]["state"] == "read", "The submission was not read.")
        # The organization's first checkpoint follows after an hour, the session's ten minutes after its close.
        owner = "SELECT organization_id FROM sessions WHERE id = %s"
        hour_ago = "UPDATE organizations SET created_at = %s WHERE id = (" + owner + ")"
        site.execute(hour_ago, site.stored_time(3_600), session_id)
        published = "SELECT position FROM checkpoints WHERE organization_id = (" + owner + ")"
        ((position,),) = wait_until(
            lambda: site.execute(published, session_id), "No checkpoint was published."
        )
    site.execute("UPDATE sessions SET checkpoint_position = %s WHERE id = %s", position, session_id)
    return candidate.session_id


def text_of(page):
    """Extract a page's text on one line, without ligatures."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", page.extract_text()))


@pytest.mark.parametrize("paper", POINTS)
def test_the_pdf_is_complete_on_every_paper_size(open_console, team, decided, paper):
    visit = open_console(team, f"/sessions/{decided}/print", color_scheme="dark")
    assert visit.shows("Printed on")
    pdf = PdfReader(io.BytesIO(visit.page.pdf(format=paper)))
    pages = [text_of(page) for page in pdf.pages]
    text = " ".join(pages)
    for expected in (
        *("Ada Lindqvist", "ada@example.com", "Backend API Challenge", "Find the lost orders."),
        *("Advanced", "Careful fix, after a talk about the guess.", "Decided by Bob Sample"),
        *(
            "No integrity findings",
            "All 3 events match the ledger",
            "1 h 30 min",
            "Completed",
            ", before the start",
        ),
        *("Bob Sample: 3 Strong", "Found the race by reading.", "Carol Diaz: 1 Weak", "Guessed first."),
        *("two or more levels apart", "Why are orders lost?", "<img src=x onerror=alert(1)>", "U+202E"),
        *("Failed commands", "100 %", "Lower quartile", "Fewer than 10 sessions", "Prompting"),
        *(
            "2 files",
            "long.txt new +300",
            "orders.py new +1",
            "import time",
            "The diff of 1 file is left out",
        ),
        *("Printed on", "by First token", f"#/sessions/{decided}"),
    ):
        assert expected in text
    head = team.get(f"/v1/sessions/{decided}/integrity")["checkpoint"]["head"]
    assert head in text.replace(" ", "")
    assert "Back to the session" not in text
    assert "Sign out" not in text
    assert "Bea Other" not in visit.page.content()  # another candidate
    assert len(pages) <= 6
    assert all(len(page) > 40 for page in pages), "A page is blank."
    assert [f"{n + 1} / {len(pages)}" in page for n, page in enumerate(pages)] == [True] * len(pages)
    assert [float(side) for side in pdf.pages[0].mediabox[2:]] == pytest.approx(POINTS[paper], abs=2)
    assert visit.is_clean()


def test_an_unknown_session_is_not_found(open_console, team):
    visit = open_console(team, "/sessions/01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01/print")
    assert visit.shows("It was deleted, or you do not have access to it")


def test_lines_have_no_authors_without_a_verified_base_commit(open_console, site, team, decided):
    columns, of_session = "base_verified = %s, base_commit = %s", site.stored_id(decided)
    site.execute(f"UPDATE submissions SET {columns} WHERE session_id = %s", False, "0" * 40, of_session)
    for path in (f"/sessions/{decided}?tab=changes", f"/sessions/{decided}/print"):
        visit = open_console(team, path)
        assert visit.shows("the diff may include earlier work"), path
        assert visit.page.locator("details.diff").count() > 0, path
        assert visit.page.locator(".not-recorded-lines, td.author").count() == 0, path
        assert visit.page.get_by_text("Not recorded:").count() == 0, path


def test_without_a_base_no_page_claims_that_nothing_changed(open_console, site, team, decided):
    columns, of_session = "base_verified = %s, base_commit = NULL", site.stored_id(decided)
    site.execute(f"UPDATE submissions SET {columns} WHERE session_id = %s", False, of_session)
    site.execute("DELETE FROM submission_files WHERE session_id = %s", of_session)
    for path in (f"/sessions/{decided}?tab=changes", f"/sessions/{decided}/print"):
        visit = open_console(team, path)
        assert visit.shows("The submission does not contain the commit that the candidate started from"), path
        assert visit.page.get_by_text("differs from the base").count() == 0, path


def test_a_file_that_is_too_large_is_listed_with_its_size(open_console, site, team, decided):
    columns, of_session = "is_too_large = %s, size = %s, diff = NULL", site.stored_id(decided)
    condition = "session_id = %s AND path = %s"
    site.execute(
        f"UPDATE submission_files SET {columns} WHERE {condition}", True, 25 * 2**20, of_session, "long.txt"
    )
    visit = open_console(team, f"/sessions/{decided}?tab=changes")
    visit.page.locator("summary", has_text="long.txt").click()
    assert visit.shows("Too large to show (25 MiB).")


def test_an_altered_recording_is_marked_in_each_section(open_console, site, team, decided):
    site.execute("UPDATE scores SET value = 2 WHERE session_id = %s", site.stored_id(decided))
    page = open_console(team, f"/sessions/{decided}/print").page
    for part in ("decision p", "decision dl", "scores", "metrics", "work"):
        page.locator(f".print-{part}").get_by_text("recording changed").first.wait_for()

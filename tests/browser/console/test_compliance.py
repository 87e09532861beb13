"""An assessment's compliance page: reasons, consistency, access, and selection rates whose groups are not stored."""

import csv
import re

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import add_rubric
from tests.browser.console.organization import add_person
from tests.live.cast import Candidate, invite, make_keys

NAMES = [f"Candidate {letter}" for letter in "ABCDEFGHIJ"]


@pytest.fixture
def decided(site, team, assessment):
    """Ten scored candidates: five rejected, the first with a higher total than the five advanced ones."""
    add_rubric(team, assessment)
    bob = add_person(team, "Bob Sample")
    addresses = [f"{name[-1].lower()}@example.com" for name in NAMES]
    keys = invite(team, assessment, *addresses, candidateNames=NAMES)["keys"]
    for number, key in enumerate(keys):
        candidate = Candidate(site, key)
        candidate.complete()
        score = {"value": 3 if number == 0 else 1 if number < 5 else 2, "comment": "Read."}
        assert bob.request("PUT", f"/v1/sessions/{candidate.session_id}/scores/quality", score).status == 200
        decision = {"decision": "rejected" if number < 5 else "advanced"}
        decision |= {"reason": "Compared with the others."} if number else {}
        assert bob.request("PUT", f"/v1/candidates/{key['id']}/decision", decision).status == 200
    return keys


def table(visit, caption):
    return visit.page.get_by_role("region", name=caption, exact=True)


def test_an_admin_reads_compares_and_exports(open_console, team, assessment, decided):
    visit = open_console(team, f"/assessments/{assessment['id']}/compliance").settle()
    (row,) = table(visit, "Decisions without a reason").locator("tbody tr").all_inner_texts()
    assert row.split("\t")[:3] == ["Candidate A", "Rejected", "Bob Sample"]
    pairs = table(visit, "Pairs").locator("tbody tr").all_inner_texts()
    assert len(pairs) == 5
    assert all("100 %" in pair and "66.7 %" in pair for pair in pairs)
    assert table(visit, "Actors and actions").get_by_text("Set decision").count() == 1

    lines = [f"{key['id']}, {'Oak' if number < 5 else 'Elm'}" for number, key in enumerate(decided)]
    field = visit.page.get_by_label("Candidates and groups")
    field.fill("\n".join([*lines, "nonsense"]))
    visit.page.get_by_role("button", name="Compare groups").click()
    assert visit.shows("This line is not “ID, group”")
    field.fill("\n".join(lines))
    visit.page.get_by_role("button", name="Compare groups").click()
    assert visit.shows("0 decided candidates have no group.")
    assert [
        text.split("\t")[:5] for text in table(visit, "Groups").locator("tbody tr").all_inner_texts()
    ] == [
        ["Elm", "5", "5", "100 %", "1.000"],
        ["Oak", "5", "0", "0 %", "0.000"],
    ]
    field.fill("nonsense")
    visit.page.get_by_role("button", name="Compare groups").click()
    assert visit.shows("This line is not “ID, group”")
    assert table(visit, "Groups").count() == 0
    stored = "JSON.stringify([location.href, {...localStorage}, {...sessionStorage}])"
    assert not re.search("Oak|Elm", visit.page.evaluate(stored))

    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Export CSV").click()
    text = download.value.path().read_text()
    rows = list(csv.reader(text.splitlines()))
    assert ["Without reason"] in rows
    assert "Candidate A" not in text
    assert visit.is_clean()


def test_lines_that_name_no_candidate_are_named(open_console, team, assessment):
    (key,) = make_keys(team, assessment, 1)
    visit = open_console(team, f"/assessments/{assessment['id']}/compliance").settle()
    field = visit.page.get_by_label("Candidates and groups")
    field.fill(f"{key['id']}, Oak\n=x;1\napplicant-9999, C")
    visit.page.get_by_role("button", name="Compare groups").click()
    visit.page.locator("form .field-error").wait_for()
    error = visit.page.locator("form .field-error").inner_text()
    assert error == (
        "“=x;1”, “applicant-9999, C”: No such candidate in this assessment. "
        "Each line needs the ID or external ID of a candidate of this assessment, a comma, and a group."
    )
    assert visit.shows("Correct the marked fields.")
    field.fill("\n".join(f"{number}, {number}" for number in range(101)))
    visit.page.get_by_role("button", name="Compare groups").click()
    assert visit.shows("Must have at most 100 different groups. Each line needs the ID")


def test_no_key_of_a_candidate_who_has_started_is_shown(open_console, site, team, assessment):
    (key,) = make_keys(team, assessment, 1)
    Candidate(site, key).complete()
    assert team.request("PUT", f"/v1/candidates/{key['id']}/decision", {"decision": "rejected"}).status == 200
    visit = open_console(team, f"/assessments/{assessment['id']}/compliance").settle()
    assert (
        table(visit, "Decisions without a reason")
        .get_by_role("link", name=f"Candidate {key['id'][-6:]}")
        .is_visible()
    )
    assert "PST-" not in visit.page.locator("main").inner_text()


def test_the_printed_page_contains_every_row_and_no_form(open_console, team, assessment, decided):
    visit = open_console(team, f"/assessments/{assessment['id']}/compliance", width=PHONE).settle()
    assert visit.is_clean()
    visit.page.emulate_media(media="print")
    assert visit.page.get_by_label("Candidates and groups").is_hidden()
    assert visit.page.get_by_role("button", name="Export CSV").is_hidden()
    region = "region => region.scrollHeight <= region.clientHeight"
    assert table(visit, "Actors and actions").evaluate(region)

"""The assessment's board: a table of candidates below each metric's distribution."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import add_rubric
from tests.live.cast import Candidate, event, invite, make_candidate, make_keys

CONSOLE = Path(__file__).parents[3] / "console"
NAMES = [
    f"{name} {family}" for family in ("Adeyemi", "Berg", "Chen") for name in ("Ada", "Bruno", "Cleo", "Dara")
]

LEVELS = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3, 4)]


class Board:
    def __init__(self, visit: Any):
        self.visit, self.page = visit, visit.page
        self.page.locator(".table:not([aria-busy]) tbody tr, .table-empty .empty").first.wait_for()

    def names(self) -> list[str]:
        return self.page.locator("tbody th [data-name]").all_inner_texts()

    def wait_for_names(self, names: list[str]) -> None:
        actual = "[...document.querySelectorAll('tbody th [data-name]')].map(cell => cell.textContent)"
        expected = json.dumps(names, separators=(",", ":"), ensure_ascii=False)
        self.page.wait_for_function(f"names => JSON.stringify({actual}) === names", arg=expected)

    def sort(self, label: str) -> None:
        self.page.get_by_role("columnheader").get_by_role("button", name=label).click()

    def row(self, name: str) -> Any:
        return self.page.locator("tbody tr").filter(has_text=name)


@pytest.fixture
def cohort(site, team, assessment) -> dict[str, str]:
    """Session ids by name: twelve candidates have completed, and one has not started."""
    addresses = [f"{name.lower().replace(' ', '.')}@example.com" for name in NAMES]
    keys = invite(team, assessment, *addresses, candidateNames=NAMES)["keys"]
    sessions = {}
    for number, (name, key) in enumerate(zip(NAMES, keys, strict=True)):
        candidate = Candidate(site, key)
        for second in range(number + 1):
            assert candidate.ingest(event(second=60 * second)).status == 201
        assert candidate.complete().status == 200
        sessions[name] = candidate.session_id
    invite(team, assessment, "zoe@example.com", candidateNames=["Zoe Late"])
    return sessions


def open_board(open_console, team, assessment, query: str = "", **options: Any) -> Board:
    return Board(open_console(team, f"/assessments/{assessment['id']}{query}", **options))


def test_sorting_filters_and_search_are_kept_in_the_address(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    assert board.visit.heading() == assessment["title"]
    assert board.names() == [*reversed(NAMES), "Zoe Late"]
    assert board.visit.shows("13 candidates")

    board.sort("Prompts")
    board.wait_for_names([*NAMES, "Zoe Late"])
    board.sort("Prompts")
    board.wait_for_names([*reversed(NAMES), "Zoe Late"])
    assert "sort=promptCount&order=desc" in board.page.url

    board.page.get_by_label("Search").fill("BERG")
    board.wait_for_names([name for name in reversed(NAMES) if "Berg" in name])
    assert board.visit.shows("4 of 13 candidates")
    board.page.reload()
    board.wait_for_names([name for name in reversed(NAMES) if "Berg" in name])
    board.page.get_by_label("Search").fill("nobody")
    board.page.get_by_role("button", name="Clear filters").click()
    board.page.get_by_label("Status").select_option("Pending")
    board.wait_for_names(["Zoe Late"])
    with board.page.expect_download() as download:
        board.page.get_by_role("button", name="Export table as CSV").click()
    with open(download.value.path(), newline="") as file:
        assert [row["candidateName"] for row in csv.DictReader(file)] == ["Zoe Late"]
    assert board.visit.is_clean()


def test_plots_and_rows_select_the_same_candidates_for_comparison(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    plot = board.page.get_by_role("group", name="Prompts of 12 sessions")
    assert board.visit.shows("n = 12 · No preferred direction")
    assert board.page.get_by_text("fewer than 10 sessions", exact=False).count() == 0
    readout = board.page.locator(".cohort-plots section").filter(has_text="Prompts").locator(".plot-readout")

    board.row(NAMES[0]).get_by_role("checkbox").check()
    board.page.mouse.move(0, 0)
    assert readout.inner_text() == f"{NAMES[0]}: 1"
    slider = plot.get_by_role("slider")
    slider.focus()
    for key in ("End", "Enter"):
        slider.press(key)
    assert slider.get_attribute("aria-valuetext") == f"{NAMES[-1]}: 12"
    assert board.row(NAMES[-1]).get_by_role("checkbox").is_checked()
    board.page.get_by_role("button", name="Compare").click()
    board.page.wait_for_url(f"**/compare/{cohort[NAMES[0]]}/{cohort[NAMES[-1]]}")


def test_an_empty_cohort_suggests_inviting_and_a_small_cohort_shows_a_warning(
    open_console, site, team, assessment
):
    board = open_board(open_console, team, assessment)
    assert board.visit.shows("No candidates yet")
    assert board.page.get_by_role("button", name="Invite").count() == 2
    candidate = Candidate(site, make_keys(team, assessment, 1)[0])
    candidate.complete()
    board.page.reload()
    assert board.visit.shows("Fewer than 10 sessions")
    assert board.visit.is_clean()


def test_the_board_fits_a_phone(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment, width=PHONE)
    assert not board.page.get_by_role("columnheader", name="Prompts").is_visible()
    assert board.page.get_by_role("columnheader", name="Hiring decision").is_visible()
    assert board.visit.is_clean()


def test_candidates_are_sorted_by_the_spread_of_their_scores(open_console, site, team, bob, assessment):
    add_rubric(team, assessment, [{"key": "quality", "title": "Quality", "levels": LEVELS}])
    names = {"Ann Agreed": (3, 3), "Dan Disputed": (2, 4), "Sue Single": (3, None)}
    for name, values in names.items():
        candidate = make_candidate(site, team, assessment)
        team.request("PATCH", f"/v1/candidates/{candidate.id}", {"candidateName": name})
        for client, value in zip((team, bob), values, strict=True):
            score = f"/v1/sessions/{candidate.session_id}/scores/quality"
            assert value is None or client.request("PUT", score, {"value": value}).status == 200
    board = open_board(open_console, team, assessment)
    board.sort("Spread")
    board.wait_for_names(["Dan Disputed", "Ann Agreed", "Sue Single"])
    for name, spread in {"Ann": "agree", "Dan": "2 apart to discuss", "Sue": "\u2013"}.items():
        cells = [" ".join(text.split()) for text in board.row(name).locator("td").all_inner_texts()]
        score = next(n for n, text in enumerate(cells) if text.startswith("3 of 4"))
        assert cells[score + 1] == spread
    board.page.set_viewport_size({"width": PHONE, "height": 900})
    assert board.row("Dan").get_by_text("2 apart").locator("visible=true").count() == 1
    assert board.visit.is_clean()


def test_candidates_hidden_by_a_filter_can_be_compared(open_console, site, team, assessment):
    invited = invite(team, assessment, "ann@example.com", "ben@example.com", candidateNames=["Ann", "Ben"])
    keys = invited["keys"]
    first, second = (Candidate(site, key).session_id for key in keys)
    board = open_board(open_console, team, assessment, "?q=ann")
    for name in ("Ann", "Ben"):
        board.page.get_by_label("Search").fill(name)
        board.wait_for_names([name])
        board.row(name).get_by_role("checkbox").check()
    board.page.get_by_role("button", name="Compare").click()
    board.page.wait_for_url(f"**/compare/{first}/{second}")


def test_an_unnamed_candidates_address_is_shown_after_clearing_the_search(
    open_console, site, team, assessment
):
    invite(team, assessment, "ann@example.com", candidateNames=["Ann"])
    Candidate(site, invite(team, assessment, "nameless@example.com")["keys"][0])
    board = open_board(open_console, team, assessment, "?q=ann")
    board.visit.settle()
    board.page.get_by_label("Search").fill("")
    board.page.get_by_text("nameless@example.com").wait_for()


def test_more_rows_are_added_once_and_not_after_a_filter_change(open_console, team, assessment, cohort):
    source = (CONSOLE / "assessment" / "board_rows.js").read_text()
    script = re.sub(r"(FIRST_PAGE_SIZE|PAGE_SIZE|MAX_ROWS) = \d+", r"\1 = 4", source)

    def serve_script(page):
        page.route(
            "**/console/assessment/board_rows.js",
            lambda route: route.fulfill(body=script, content_type="text/javascript"),
        )

    query = "?sort=candidateName&order=asc"
    board = open_board(open_console, team, assessment, query, before=serve_script)
    names = [*sorted(NAMES), "Zoe Late"]
    more = board.page.get_by_role("button", name="Show more")
    more.dblclick()
    board.wait_for_names(names[:8])
    delayed = []
    board.page.route("**/results?*after=*", lambda route: delayed.append(route))
    with board.page.expect_request("**/results?*after=*"):
        more.click()
    board.page.get_by_label("Search").fill("Zoe")
    board.wait_for_names(["Zoe Late"])
    for route in delayed:
        route.continue_()
    board.visit.settle()
    assert board.names() == ["Zoe Late"]


def test_a_failed_load_is_reported_once(open_console, team, assessment):
    def reject(page):
        for path in ("results*", "cohort-stats"):
            page.route(f"**/v1/assessments/*/{path}", lambda route: route.abort())

    visit = open_console(team, f"/assessments/{assessment['id']}", before=reject)
    assert visit.shows("Could not reach the service")
    visit.settle()
    assert visit.page.locator(".toast").count() == 0


def test_the_focus_stays_on_a_changed_candidate(open_console, team, assessment):
    invite(team, assessment, "ann@example.com", candidateNames=["Ann"])
    board = open_board(open_console, team, assessment)
    actions = board.page.get_by_role("button", name="Actions for Ann")
    actions.press("Enter")
    board.page.get_by_role("menuitem", name="Extend invitation").press("Enter")
    with board.page.expect_response("**/results?*"):
        board.page.get_by_role("button", name="Extend", exact=True).click()
    board.visit.settle()
    assert actions.evaluate("button => button === document.activeElement")

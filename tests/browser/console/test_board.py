"""The board: candidates of one or all assessments by view, above each metric's distribution."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import add_rubric
from tests.live.cast import ASSESSMENT, Candidate, event, invite, make_candidate, make_keys

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

    def views(self) -> dict[str, int]:
        texts = self.page.get_by_role("navigation", name="Views").get_by_role("button").all_inner_texts()
        return {name: int(count) for name, _, count in (text.rpartition(" ") for text in texts)}

    def show(self, view: str) -> None:
        views = self.page.get_by_role("navigation", name="Views")
        views.get_by_role("button", name=re.compile(rf"^{view} \d+$")).click()

    def open_metrics(self) -> None:
        self.page.get_by_text("Activity metrics, not a measure of skill").click()

    def focused(self) -> str:
        return self.page.evaluate(
            "document.activeElement.closest('tr').querySelector('[data-name]').textContent"
        )

    def cell(self, name: str, column: str) -> str:
        """Return the text of a row's cell in the column with this heading."""
        headings = [text.strip(" ↑↓") for text in self.page.locator("thead th").all_inner_texts()]
        cell = self.row(name).locator("th, td").nth(headings.index(column))
        return " ".join(cell.inner_text().split())

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


def open_board(open_console, team, assessment, query: str = "?view=all", **options: Any) -> Board:
    return Board(open_console(team, f"/assessments/{assessment['id']}{query}", **options))


def test_view_order_filters_and_search_are_kept_in_the_address(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment, "")
    assert board.visit.heading() == assessment["title"]
    assert board.names() == [*reversed(NAMES)]  # without scores and hidden tests, the latest first
    assert board.views() == {"Undecided": 12, "All": 13, "Not started": 1} | dict.fromkeys(OTHER_VIEWS, 0)
    board.show("All")
    board.wait_for_names([*reversed(NAMES), "Zoe Late"])
    board.sort("Candidate")
    board.wait_for_names([*sorted(NAMES), "Zoe Late"])
    assert "view=all&sort=candidateName&order=asc" in board.page.url

    board.page.get_by_label("Search").fill("BERG")
    board.wait_for_names([name for name in sorted(NAMES) if "Berg" in name])
    assert board.visit.shows("4 of 13 candidates")
    board.page.reload()
    board.wait_for_names([name for name in sorted(NAMES) if "Berg" in name])
    board.page.get_by_label("Search").fill("nobody")
    board.page.get_by_role("button", name="Clear filters").click()
    board.wait_for_names([*sorted(NAMES), "Zoe Late"])
    board.show("Not started")
    board.wait_for_names(["Zoe Late"])
    with board.page.expect_download() as download:
        board.page.get_by_role("button", name="Export CSV").click()
    with open(download.value.path(), newline="") as file:
        assert [row["Candidate"] for row in csv.DictReader(file)] == ["Zoe Late"]
    board.show("Hired")
    board.page.get_by_role("button", name="Show all 13 candidates").click()
    board.page.get_by_text("13 candidates", exact=True).wait_for()
    assert board.visit.is_clean()


OTHER_VIEWS = ("To score", "Disagreement", "Findings", "Advanced", "Rejected", "Hired")


def test_the_candidates_of_all_assessments_are_one_list(open_console, site, team, assessment, cohort):
    other = team.post("/v1/assessments", ASSESSMENT | {"title": "Other"})["assessment"]
    invite(team, other, "yan@example.com", candidateNames=["Yan Other"])
    board = Board(open_console(team, "/candidates?view=not_started"))
    assert board.names() == ["Yan Other", "Zoe Late"]
    assert board.views()["All"] == 14
    assert board.row("Yan").get_by_role("link", name="Other", exact=True).is_visible()
    assert board.visit.is_clean()


def test_two_presses_open_one_dialog(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    board.page.locator("tbody a").first.focus()
    board.page.keyboard.press("e")
    board.page.keyboard.press("e")
    board.page.get_by_role("dialog").wait_for()
    board.visit.settle()
    assert board.page.get_by_role("dialog").count() == 1


def test_the_board_is_operated_by_keyboard(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    page = board.page
    page.keyboard.press("Tab")
    for _ in range(4):
        if page.evaluate("document.activeElement.classList.contains('skip')"):
            page.keyboard.press("Enter")
        if page.evaluate("Boolean(document.activeElement.closest('tbody tr'))"):
            break
        page.keyboard.press("Tab")
    assert board.focused() == NAMES[-1]
    for key, name in (("j", NAMES[-2]), ("j", NAMES[-3]), ("k", NAMES[-2])):
        page.keyboard.press(key)
        assert board.focused() == name
    page.keyboard.press("x")
    assert board.row(NAMES[-2]).get_by_role("checkbox").is_checked()
    page.keyboard.press("/")
    page.keyboard.type("jx")
    assert page.get_by_label("Search").input_value() == "jx"
    page.get_by_text("No candidate matches").wait_for()
    page.get_by_label("Search").fill("")
    board.wait_for_names([*reversed(NAMES), "Zoe Late"])
    board.page.locator("tbody a").first.focus()
    page.keyboard.press("?")
    assert board.visit.shows("Next candidate")
    page.get_by_label("Enable single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert board.focused() == NAMES[-1]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/sessions/{cohort[NAMES[-1]]}")


def test_all_rows_are_selected_at_once(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    everyone = board.page.get_by_label("Select all rows")
    everyone.check()
    assert board.page.locator("tbody tr.selected").count() == 13
    everyone.uncheck()
    assert board.page.locator("tbody :checked").count() == 0
    everyone.check()
    board.show("Not started")
    board.wait_for_names(["Zoe Late"])
    assert board.page.locator("table :checked").count() == 0


def test_plots_mark_the_selected_candidates(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    board.open_metrics()
    assert board.visit.shows("n = 12 · No preferred direction")
    assert board.page.get_by_text("fewer than 10 sessions", exact=False).count() == 0
    readout = board.page.locator(".cohort-plots section").filter(has_text="Prompts").locator(".plot-readout")

    board.row(NAMES[0]).get_by_role("checkbox").check()
    board.page.mouse.move(0, 0)
    assert readout.inner_text() == f"{NAMES[0]}: 1"
    board.row(NAMES[-1]).get_by_role("checkbox").check()
    assert f"{NAMES[-1]}: 12" in readout.inner_text()
    assert board.visit.is_clean()
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
    board.open_metrics()
    assert board.visit.shows("Fewer than 10 sessions")
    assert board.page.locator(".plot").count() == 0  # a session without events has no metrics
    assert board.visit.is_clean()


def test_the_board_fits_a_phone(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment, width=PHONE)
    assert not board.page.get_by_role("columnheader", name="Findings").is_visible()
    assert board.page.get_by_role("columnheader", name="Hiring decision").is_visible()
    assert board.row("Zoe").get_by_text("Pending").locator("visible=true").count() == 1
    assert board.visit.is_clean()


def test_the_board_has_a_column_for_each_criterion_and_a_view_of_disagreements(
    open_console, site, team, bob, assessment
):
    add_rubric(team, assessment, [{"key": "quality", "title": "Quality", "levels": LEVELS}])
    names = {"Ann Agreed": (3, 3), "Dan Disputed": (2, 4), "Sue Single": (4, None)}
    for name, values in names.items():
        candidate = make_candidate(site, team, assessment)
        team.request("PATCH", f"/v1/candidates/{candidate.id}", {"candidateName": name})
        for client, value in zip((team, bob), values, strict=True):
            score = f"/v1/sessions/{candidate.session_id}/scores/quality"
            assert value is None or client.request("PUT", score, {"value": value}).status == 200
    board = open_board(open_console, team, assessment)
    assert board.names() == ["Sue Single", "Dan Disputed", "Ann Agreed"]
    assert board.cell("Dan", "Quality") == "3"
    assert board.cell("Dan", "Reviewers") == "2 2 apart to discuss"
    assert board.cell("Ann", "Reviewers") == "2 agree"
    board.show("Disagreement")
    board.wait_for_names(["Dan Disputed"])
    board.page.set_viewport_size({"width": PHONE, "height": 900})
    assert board.row("Dan").get_by_text("2 apart").locator("visible=true").count() == 1
    assert board.visit.is_clean()


def test_candidates_hidden_by_a_filter_can_be_compared(open_console, site, team, assessment):
    invited = invite(team, assessment, "ann@example.com", "ben@example.com", candidateNames=["Ann", "Ben"])
    keys = invited["keys"]
    first, second = (Candidate(site, key).session_id for key in keys)
    board = open_board(open_console, team, assessment, "?view=all&q=ann")
    for name in ("Ann", "Ben"):
        board.page.get_by_label("Search").fill(name)
        board.wait_for_names([name])
        board.row(name).get_by_role("checkbox").check()
    board.page.get_by_role("button", name="Compare").click()
    board.page.wait_for_url(f"**/compare/{first}/{second}")


def test_more_rows_are_added_once_and_not_after_a_filter_change(open_console, team, assessment, cohort):
    source = (CONSOLE / "assessment" / "board.js").read_text()
    script = re.sub(r"(FIRST_PAGE_SIZE|PAGE_SIZE) = \d+", r"\1 = 3", source)

    def serve_script(page):
        page.route(
            "**/console/assessment/board.js",
            lambda route: route.fulfill(body=script, content_type="text/javascript"),
        )

    query = "?view=all&sort=candidateName&order=asc"
    board = open_board(open_console, team, assessment, query, before=serve_script)
    names = [*sorted(NAMES), "Zoe Late"]
    more = board.page.get_by_role("button", name="Show more")
    board.wait_for_names(names[:6])
    more.dblclick()
    board.wait_for_names(names[:9])
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
        page.route("**/v1/assessments/*/results**", lambda route: route.abort())

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

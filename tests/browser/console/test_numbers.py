"""The console's numbers are correct, explained, and the same on every page."""

import csv
import re
import uuid
from fractions import Fraction

import numpy
import pytest

from tests.browser.console.conftest import LEVELS, add_rubric
from tests.browser.console.organization import add_person
from tests.browser.console.test_board import open_board
from tests.live.cast import Candidate, event, invite, make_candidate

MARGIN = 14
PROMPTS = [1, 1, 1, 2, 3, 3, 5, 8, 9, 9, 9, 10]
WITHOUT_CHANGE = 3
CRITERIA = [
    {"key": key, "title": key, "levels": LEVELS, "weight": weight} for key, weight in (("a", 1), ("b", 0.5))
]
DRAWING = """(figure) => {
  const image = figure.querySelector("svg[role]");
  const [box, median] = [".plot-box", ".plot-median"].map((name) => image.querySelector(name));
  const number = (element, name) => Number(element.getAttribute(name));
  return {
    width: image.viewBox.baseVal.width,
    dots: image.querySelector(".plot-dots").getAttribute("d"),
    box: [number(box, "x"), number(box, "x") + number(box, "width")],
    median: number(median, "x1"),
    texts: [...image.querySelectorAll("text")].map((text) => text.textContent),
  };
}"""
TEXTS = """async () => {
  const { formatDollars, formatNumber, formatShare } = await import("/console/shared/numbers.js");
  const { formatRelative } = await import("/console/shared/time.js");
  const inHours = (hours) => formatRelative(new Date(hours * 3_600_000).toISOString(), 0);
  return [
    [0, 0.004, 0.005, 1.005, 1234.5].map(formatDollars),
    [0.045, 1.5, 2, 1234.567].map(formatNumber),
    [formatShare(0.145), formatShare(1), formatShare(0), formatShare(1, 16), formatShare(247, 2000)],
    [0, 0.5, 2, 47, 49, -26].map(inHours),
  ];
}"""


def complete_with(site, team, assessment, *events):
    candidate = make_candidate(site, team, assessment)
    for each in events:
        assert candidate.ingest(each).status == 201
    assert candidate.complete().status == 200
    return candidate


def score(client, candidate, **values):
    for key, value in values.items():
        path = f"/v1/sessions/{candidate.session_id}/scores/{key}"
        assert client.request("PUT", path, {"value": value}).status == 200


@pytest.fixture
def cohort(site, team, assessment):
    """Completed candidates with PROMPTS, one minute apart. All but the first WITHOUT_CHANGE also have a change."""
    candidates = []
    for number, count in enumerate(PROMPTS):
        sent = [event(second=60 * n) for n in range(count)]
        if number >= WITHOUT_CHANGE:
            sent.append(event("file_diff", second=10 * number, data={"path": "a.py"}))
        candidates.append(complete_with(site, team, assessment, *sent))
    return candidates


@pytest.fixture
def reviewers(team):
    """Three people who score."""
    return [add_person(team, name) for name in ("Ann", "Bob", "Cem")]


@pytest.fixture
def rubric(team, assessment):
    return add_rubric(team, assessment, CRITERIA)


def test_a_plots_dots_box_and_median_match_its_axis(open_console, team, assessment, cohort):
    board = open_board(open_console, team, assessment)
    board.open_metrics()
    figure = board.page.locator("figure.plot", has_text="Prompts of 12 sessions")
    drawing = figure.evaluate(DRAWING)

    def positions(values):
        share = (numpy.array(values) - min(PROMPTS)) / (max(PROMPTS) - min(PROMPTS))
        return pytest.approx(MARGIN + share * (drawing["width"] - 2 * MARGIN), abs=0.06)

    # R21: one decimal.
    lower, median, upper = numpy.floor(numpy.quantile(PROMPTS, [0.25, 0.5, 0.75]) * 10 + 0.5) / 10
    dots = sorted(float(x) for x in re.findall(r"M([\d.]+) ", drawing["dots"]))
    assert dots == positions(PROMPTS)
    assert drawing["box"] == positions([lower, upper])
    assert [drawing["median"]] == positions([median])
    assert drawing["texts"] == [f"Median {median:g}", str(min(PROMPTS)), str(max(PROMPTS))]
    assert board.visit.is_clean()


def test_the_axis_of_a_single_value_has_one_label(open_console, site, team, assessment):
    complete_with(site, team, assessment, event(), event(second=90))
    board = open_board(open_console, team, assessment)
    board.open_metrics()
    drawing = board.page.locator("figure.plot", has_text="Duration of 1 session").evaluate(DRAWING)
    assert drawing["texts"] == ["Median 1 min 30 s", "1 min 30 s"]


def test_ranks_count_ties_and_require_ten_values(open_console, team, cohort):
    own = cohort[4]
    for path in (f"/sessions/{own.session_id}?tab=metrics", f"/sessions/{own.session_id}/print"):
        visit = open_console(team, path).settle()
        assert visit.shows("higher than 4, lower than 6 and the same as 1 of 11 others"), path
        ranks = re.findall(r"(?i)(?:higher|more failures) than \d+", visit.page.locator("main").inner_text())
        assert len(ranks) == 4, path  # Only 9 sessions have a duration and a first change.


def test_table_export_and_session_page_agree(open_console, site, team, assessment):
    sent = [event(second=0)]
    sent += [
        event("command", second=n, data={"command": "make test", "exitCode": int(n < 3)}) for n in range(1, 9)
    ]
    sent += [event("file_diff", second=60 + n, data={"path": "a.py"}) for n in range(11)]
    candidate = complete_with(site, team, assessment, *sent)
    board = open_board(open_console, team, assessment)
    with board.page.expect_download() as download:
        board.page.get_by_role("button", name="Export CSV").click()
    (row,) = csv.DictReader(download.value.path().read_text().lstrip("\ufeff").splitlines())
    verified, failed = Fraction(8, 11), Fraction(2, 8)
    assert float(row["Verifications per change"]) == round(float(verified), 3)
    assert float(row["Failed commands"]) == failed
    visit = open_console(team, f"/sessions/{candidate.session_id}?tab=metrics")
    visit.page.locator(".metric-card").first.wait_for()
    values = visit.page.locator(".metric-value").all_inner_texts()
    assert values == ["1 min 10 s", "1", "25 %", "0.7", "0 %", "1 min"]
    for path in ("?tab=metrics", "/print"):
        visit = open_console(team, f"/sessions/{candidate.session_id}{path}")
        for text in ("based on 8 commands", "based on 11 changes", "based on 0 attributed changes"):
            assert visit.shows(text), path
        # For 8 commands and 0 attributed changes.
        assert visit.page.get_by_text("Do not rely on it").count() == 2, path


def test_metrics_name_their_source(open_console, site, team, assessment):
    candidate = make_candidate(site, team, assessment)
    for _ in range(2):
        hook = {"hook_event_name": "UserPromptSubmit", "session_id": "1", "prompt": str(uuid.uuid4())}
        assert candidate.post("/v1/hooks/claude-code", hook).status == 200
    assert candidate.ingest(event("command", data={"command": "make"})).status == 201
    candidate.complete()
    visit = open_console(team, f"/sessions/{candidate.session_id}?tab=metrics")
    assert visit.shows(
        "Metrics are computed from the events that the candidate's client sent. In the same session, the agent's hooks "
        "recorded 2 prompts, 0 commands and 0 changes (client: 0, 1, 0)."
    )
    assert visit.is_clean()


def test_zero_passed_tests_are_not_a_pass_on_any_page(open_console, site, team, assessment):
    one, other = (complete_with(site, team, assessment, event()) for _ in range(2))
    path = f"/v1/sessions/{one.session_id}/test-result"
    assert team.request("PUT", path, {"passed": 0, "failed": 0}).status == 200
    visit = open_console(team, f"/sessions/{one.session_id}")
    numbers = visit.page.locator(".report-numbers", has_text="Test result").inner_text()
    assert numbers.count("0 passed, 0 failed\nteam") == 1
    assert "Passed" not in numbers
    visit = open_console(team, f"/compare/{one.session_id}/{other.session_id}")
    assert visit.shows("Test result: 0 passed, 0 failed (team)")


def test_a_total_has_the_same_digits_on_every_page(open_console, site, team, assessment, rubric, reviewers):
    one, other = (complete_with(site, team, assessment, event()) for _ in range(2))
    for reviewer, (a, b) in zip(reviewers, ((1, 2), (2, 2), (2, 3)), strict=True):
        score(reviewer, one, a=a, b=b)
    score(reviewers[0], other, a=3, b=3)
    exact = Fraction(5, 3) + Fraction(1, 2) * Fraction(7, 3)
    total = f"{float(exact):.2f} of {3 + 3 / 2}"
    board = open_board(open_console, team, assessment)
    assert board.page.get_by_text(total, exact=True).count() == 1
    for page in ("", "/score", "/print"):
        assert open_console(team, f"/sessions/{one.session_id}{page}").shows(total), page
    visit = open_console(team, f"/sessions/{one.session_id}/print")
    assert visit.shows("mean 1.67 on a scale of 1 to 3")
    visit = open_console(team, f"/compare/{one.session_id}/{other.session_id}")
    assert visit.shows(total)
    visit.page.get_by_role("cell", name="1.67 of 3", exact=True).wait_for()


def test_totals_with_different_rubric_versions_show_a_warning(
    open_console, site, team, assessment, rubric, reviewers
):
    one, other = (complete_with(site, team, assessment, event()) for _ in range(2))
    for reviewer in reviewers:
        score(reviewer, one, a=1, b=3)
        score(reviewer, other, a=1, b=3)
    board = open_board(open_console, team, assessment)
    assert not board.page.get_by_text("Do not compare these totals").is_visible()
    criteria = [CRITERIA[0] | {"weight": 3}, CRITERIA[1]]
    assert team.request("PATCH", f"/v1/rubrics/{rubric['id']}", {"criteria": criteria}).status == 200
    score(reviewers[0], other, a=1, b=3)
    visit = open_console(team, f"/compare/{one.session_id}/{other.session_id}")
    assert visit.shows("2.5 of 4.5 (rubric version 1, current version 2)")
    assert visit.shows("4.5 of 10.5")
    assert visit.page.get_by_role("row", name="Reviewers").locator("td").all_inner_texts()[1] == "1 reviewer"
    board = open_board(open_console, team, assessment)
    assert board.page.get_by_text("Do not compare these totals").is_visible()


def test_candidates_with_the_same_name_are_told_apart(
    open_console, site, team, assessment, rubric, reviewers
):
    keys = invite(team, assessment, "a@example.com", "b@example.com", candidateNames=["Alex Kim"] * 2)["keys"]
    twins = [Candidate(site, key) for key in keys]
    for candidate, a in zip(twins, (1, 3), strict=True):
        candidate.complete()
        score(reviewers[0], candidate, a=a, b=2)
    visit = open_console(team, f"/compare/{twins[0].session_id}/{twins[1].session_id}")
    table = visit.page.locator(".compare-top section:last-child table")
    table.wait_for()
    assert table.locator("tbody tr").first.locator("th, td").all_inner_texts() == ["a", "1 of 3", "3 of 3"]
    names = [f"Alex Kim ({candidate.id[-6:]})" for candidate in twins]
    assert table.locator("thead th").all_inner_texts() == names


def test_a_candidate_has_the_same_shape_in_every_plot(open_console, site, team, assessment):
    without_change = complete_with(site, team, assessment, event(), event(second=60))
    with_change = complete_with(
        site, team, assessment, event(), event("file_diff", second=60, data={"path": "a.py"})
    )
    visit = open_console(team, f"/compare/{without_change.session_id}/{with_change.session_id}")
    plots = visit.page.locator(".compare-metrics figure")
    plots.last.wait_for()
    marks = [plots.nth(n).locator(".plot-marks .plot-series-1").count() for n in range(6)]
    assert marks == [1] * 6
    assert plots.last.locator(".plot-marks .plot-series-0").count() == 0


def test_times_on_several_days_include_the_day(open_console, site, team, assessment):
    sent = [event(second=60 * n) for n in range(9)]
    candidate = complete_with(site, team, assessment, *sent, event(ts="2026-04-02T22:30:00.000Z"))
    visit = open_console(team, f"/sessions/{candidate.session_id}")
    visit.page.locator("[role=option]").first.wait_for()
    # In Berlin, two hours ahead of UTC.
    times = visit.page.locator("[role=option] time").all_inner_texts()
    assert (times[0], times[-1]) == ("1 Apr, 11:00:00", "3 Apr, 00:30:00")
    assert visit.page.locator(".time-text").first.text_content().startswith("1 Apr, ")


def test_every_page_describes_the_cohort(open_console, site, team, assessment):
    one, other = complete_with(site, team, assessment, event()), complete_with(site, team, assessment)
    make_candidate(site, team, assessment)
    path = f"/sessions/{one.session_id}"
    for page in (
        f"/assessments/{assessment['id']}",
        f"{path}?tab=metrics",
        f"{path}/print",
        f"/compare/{one.session_id}/{other.session_id}",
    ):
        visit = open_console(team, page)
        if page.startswith("/assessments"):
            visit.page.get_by_text("Activity metrics, not a measure of skill").click()
        for text in (
            "Fewer than 10 sessions",
            "1 open session is not included",
            "1 closed session has no events",
        ):
            assert visit.shows(text), (page, text)


def test_numbers_are_rounded_half_up_and_times_are_exact(open_console, team):
    texts = open_console(team).settle().page.evaluate(TEXTS)
    assert texts == [
        ["$0.00", "<$0.01", "$0.01", "$1.01", "$1,234.50"],
        ["0.05", "1.5", "2", "1,234.57"],
        ["14.5 %", "100 %", "0 %", "6.3 %", "12.4 %"],
        ["now", "in 30 minutes", "in 2 hours", "in 47 hours", "in 2 days", "26 hours ago"],
    ]

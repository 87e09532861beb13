"""From the first sign-in to the printed decision, with an admin and two reviewers."""

import re

import pytest

from tests.browser.console.conftest import RUBRIC, ConsoleVisit, add_rubric, all_recorded
from tests.browser.console.organization import add_person, create_admin
from tests.live.cast import Candidate, event, invite, list_keys
from tests.live.client import Client
from tests.live.service import wait_until

COOKIE = "__Host-proofstone"
LIST = "name,email\nAda Lindqvist,ada@example.com\nBo Chen,bo@example.com\n"
# The suggested rubric's levels.
LOWEST, HIGHEST = 1, 4


class SignedInVisit(ConsoleVisit):
    cookies = frozenset({COOKIE})

    def sign_in(self, client: Client) -> "SignedInVisit":
        """Sign in with a client's token."""
        self.go("/assessments")
        self.page.get_by_label("API token").fill(token_of(client))
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        assert [cookie["name"] for cookie in self.page.context.cookies()] == [COOKIE]
        return self.settle()


def token_of(client: Client) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def open_window(browser, site):
    """`open_window(width)`: a window without a token."""
    contexts = []

    def open_window(width):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, timezone_id="Europe/Berlin", reduced_motion="reduce"
        )
        contexts.append(context)
        return SignedInVisit(context, f"http://localhost:{site.port}")

    yield open_window
    for context in contexts:
        context.close()


def create_assessment(visit):
    page = visit.page
    page.get_by_role("link", name="New assessment").first.click()
    page.get_by_label("Title", exact=True).fill("Lost orders")
    page.get_by_label("Role").fill("Backend engineer")
    page.get_by_label("Brief").fill("Find out why orders are lost.")
    page.get_by_role("button", name="Create a rubric").click()
    page.get_by_role("button", name="Create rubric").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Create assessment").click()
    assert visit.shows("Lost orders has been created.")


def invite_two(visit):
    page = visit.page
    page.get_by_role("button", name="Invite").first.click()
    page.get_by_role("textbox", name="Candidates").fill(LIST)
    page.get_by_role("button", name="Check the list").click()
    page.get_by_role("button", name="Invite 2 candidates").click()
    assert visit.shows("2 invitations created")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()


def work(site, key):
    """Start and complete a session, and return its id."""
    candidate = Candidate(site, key)
    for second, (kind, data) in enumerate(
        [
            ("prompt", {"text": "Why are orders lost?"}),
            ("command", {"command": "pytest -q", "exitCode": 1}),
            ("file_diff", {"path": "orders.py", "linesAdded": 2, "linesRemoved": 1}),
            ("command", {"command": "pytest -q", "exitCode": 0}),
        ]
    ):
        assert candidate.ingest(event(kind, second=60 * second, data=data)).status == 201
    assert candidate.complete().status == 200
    return candidate.session_id


def score_everything(visit, session_id, value):
    page = visit.page
    visit.go(f"/sessions/{session_id}/score").settle()
    forms = page.locator(".scoring-criterion")
    forms.nth(3).wait_for()
    for number, form in enumerate(forms.all()[:3], 1):
        form.get_by_role("radio", name=f"{value} · ").check()
        form.get_by_label("Comment").fill(f"Reason {number}.")
    page.get_by_role("button", name="Save", exact=True).click()
    assert visit.shows("You have scored 3 of 3 criteria.")


def decide(visit, decision):
    page = visit.page
    page.get_by_role("button", name="Decide").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option(decision)
    dialog.get_by_label("Reason", exact=True).fill("Both discussed the difference.")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")


@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_first_sign_in_to_the_printed_decision(site, team, open_window, width):
    admin = open_window(width).sign_in(create_admin(site, team, "Ann"))
    create_assessment(admin)
    (assessment,) = team.get("/v1/assessments")["assessments"]
    admin.go(f"/assessments/{assessment['id']}").settle()
    invite_two(admin)
    assert admin.shows("2 candidates")
    first, second = (work(site, key) for key in list_keys(team, assessment))
    with site.worker():
        path = f"/v1/sessions/{first}"
        wait_until(lambda: all_recorded(team, path), "The ledger does not list the events.")
    admin.go(f"/sessions/{first}").settle()
    assert admin.shows("No findings")
    assert admin.shows("Why are orders lost?")

    bob, carol = (open_window(width).sign_in(add_person(team, name)) for name in ("Bob", "Carol"))
    for session_id in (first, second):
        score_everything(bob, session_id, HIGHEST)
        assert bob.page.get_by_text("To discuss").count() == 0
    score_everything(carol, first, LOWEST)
    assert carol.shows("To discuss: the scores are two or more levels apart.")
    score_everything(carol, second, HIGHEST)
    assert carol.page.get_by_text("To discuss").count() == 0

    carol.go(f"/compare/{first}/{second}").settle()
    assert carol.heading() == "Compare"
    assert carol.shows("2 sessions in the cohort.")
    bob.go(f"/sessions/{first}/score").settle()
    decide(bob, "advanced")
    candidate = team.get(f"/v1/candidates/{team.get(f'/v1/sessions/{first}')['candidateId']}")["candidate"]
    assert candidate["decision"] == "advanced"
    bob.go(f"/sessions/{first}/print").settle()
    assert bob.shows("Both discussed the difference.")
    report = bob.page.locator(".file-report").inner_text()
    for text in ("Advanced", "Both discussed the difference.", "Bob", "Carol", "Reason 3."):
        assert text in report, text
    assert len(bob.page.pdf(format="A4")) > 10_000
    for visit in (admin, bob, carol):
        assert visit.is_clean()


class Keyboard:
    """A person without a mouse, who navigates with Tab."""

    LABEL = """() => {
        const element = document.activeElement;
        const labels = [...(element.labels ?? [])].map((label) => label.innerText).join(" ");
        return element.getAttribute("aria-label") || labels || element.innerText || "";
    }"""

    def __init__(self, visit: SignedInVisit):
        self.visit, self.page = visit, visit.page

    def find(self, label: str) -> None:
        """Press Tab until the element with this label has a visible focus."""
        labels = []
        for _ in range(80):
            self.page.keyboard.press("Tab")
            labels.append(self.page.evaluate(self.LABEL).strip())
            if re.match(label, labels[-1]):
                assert self.page.evaluate("document.activeElement.matches(':focus-visible')"), label
                return
        raise AssertionError(f"Tab did not reach {label!r}: {labels}")

    def press(self, label: str) -> None:
        self.find(label)
        self.page.keyboard.press("Enter")


def test_a_reviewer_can_sign_in_score_and_decide_with_the_keyboard(site, team, assessment, open_window):
    (criterion,) = RUBRIC["criteria"]
    add_rubric(team, assessment, [criterion, criterion | {"key": "tests", "title": "Tests"}])
    (key,) = invite(team, assessment, "ada@example.com", candidateNames=["Ada Lindqvist"])["keys"]
    session_id = work(site, key)

    visit = open_window(1280).go("/assessments")
    visit.page.get_by_label("API token").wait_for()
    keyboard = Keyboard(visit)
    keyboard.find("API token")
    visit.page.keyboard.insert_text(token_of(add_person(team, "Bob")))
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("button", name="Sign out").wait_for()
    visit.settle()
    keyboard.press(assessment["title"])
    visit.page.wait_for_url(f"**/assessments/{assessment['id']}")
    visit.settle()
    keyboard.press("Ada Lindqvist")
    visit.page.wait_for_url(f"**/sessions/{session_id}*")
    visit.settle()
    keyboard.press("Score")
    visit.page.wait_for_url(f"**/sessions/{session_id}/score")
    visit.settle()
    visit.page.locator(".scoring-criterion input:focus").wait_for()
    for _ in range(2):
        visit.page.keyboard.press("2")
        keyboard.find("Comment")
        visit.page.keyboard.insert_text("Clear.")
        keyboard.find("1 · ")
    visit.page.keyboard.press("Control+Enter")
    assert visit.shows("You have scored 2 of 2 criteria.")
    visit.settle()
    keyboard.press("Decide")
    visit.page.get_by_role("dialog").wait_for()
    visit.page.keyboard.type("Adv")
    keyboard.find("Reason")
    visit.page.keyboard.insert_text("Clear work.")
    keyboard.press("Save")
    visit.page.get_by_role("dialog").wait_for(state="detached")
    criteria = team.get(f"/v1/sessions/{session_id}/scores")["criteria"]
    scores = [[(score["value"], score["comment"]) for score in each["scores"]] for each in criteria]
    assert scores == [[(2, "Clear.")]] * 2
    assert team.get(f"/v1/candidates/{key['id']}")["candidate"]["decision"] == "advanced"
    assert visit.is_clean()

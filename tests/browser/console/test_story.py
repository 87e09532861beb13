"""From the first sign-in to the printed decision, by an admin and two reviewers in their own windows."""

import re

import pytest

from tests.browser.console.conftest import ConsoleVisit
from tests.live.cast import Candidate, event, list_keys
from tests.live.client import Client
from tests.live.service import wait_until

COOKIE = "__Host-proofstone"
LIST = "name,email\nAda Lindqvist,ada@example.com\nBo Chen,bo@example.com\n"
# Of the rubric that the form suggests, criteria with the levels 1 to 4.
LOWEST, HIGHEST = 1, 4


class SignedInVisit(ConsoleVisit):
    cookies = frozenset({COOKIE})

    def sign_in(self, token: str) -> "SignedInVisit":
        """Paste a token."""
        self.go("/assessments")
        self.page.get_by_label("API token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        assert [cookie["name"] for cookie in self.page.context.cookies()] == [COOKIE]
        return self.settle()


@pytest.fixture
def open_window(browser, site):
    """`open_window(width)`: a window that sends no token, under the service's own content security policy."""
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


@pytest.fixture
def admin_token(site, team):
    """The token of the organization's first admin."""
    organization, address = team.get("/v1/me")["orgId"], "ann@northwind.example"
    site.flask("person", "create", organization, address, "--name", "Ann")
    return site.flask("token", "create", organization, "--person", address).split()[-1]


@pytest.fixture
def new_reviewer(team):
    """`new_reviewer("Bob")`: the token of a new person."""

    def new_reviewer(name):
        body = {"name": name, "email": f"{name.lower()}@northwind.example", "role": "reviewer"}
        owner = team.post("/v1/org/people", body)["person"]["id"]
        body = {"name": name, "personId": owner, "scopes": ["read", "write"]}
        return team.post("/v1/org/tokens", body)["secret"]

    return new_reviewer


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
    """A candidate's whole session over HTTP."""
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
    forms = page.locator("form.scoring-criterion")
    forms.nth(2).wait_for()
    n = forms.count()
    assert n == 3
    for number in range(n):
        form = forms.nth(number)
        form.get_by_role("radio", name=f"{value} · ").check()
        form.get_by_label("Comment").fill(f"Reason {number + 1}.")
        form.get_by_role("button", name="Save score").click()
        assert visit.shows(f"You have scored {number + 1} of {n} criteria.")


def decide(visit, decision):
    page = visit.page
    page.get_by_role("button", name="Decide").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option(decision)
    dialog.get_by_label("Reason").fill("Both talked about the difference.")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")


@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_first_sign_in_to_the_printed_decision(
    site, team, admin_token, new_reviewer, open_window, width
):
    admin = open_window(width).sign_in(admin_token)
    create_assessment(admin)
    (assessment,) = team.get("/v1/assessments")["assessments"]
    admin.go(f"/assessments/{assessment['id']}").settle()
    invite_two(admin)
    assert admin.shows("2 candidates")
    first, second = (work(site, key) for key in list_keys(team, assessment))
    with site.worker():
        path = f"/v1/sessions/{first}"
        wait_until(lambda: team.get(path)["seal"]["isWhole"], "The record is not sealed.")
    admin.go(f"/sessions/{first}").settle()
    assert admin.shows("No integrity findings")
    assert admin.shows("Why are orders lost?")

    bob, carol = (open_window(width).sign_in(new_reviewer(name)) for name in ("Bob", "Carol"))
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
    assert bob.shows("Both talked about the difference.")
    report = bob.page.locator(".file-report").inner_text()
    for text in ("Advanced", "Both talked about the difference.", "Bob", "Carol", "Reason 3."):
        assert text in report, text
    assert len(bob.page.pdf(format="A4")) > 10_000
    for visit in (admin, bob, carol):
        assert visit.is_clean()


class Keyboard:
    """A person without a mouse, who finds things with Tab."""

    LABEL = """() => {
        const element = document.activeElement;
        const labels = [...(element.labels ?? [])].map((label) => label.innerText).join(" ");
        return element.getAttribute("aria-label") || labels || element.innerText || "";
    }"""

    def __init__(self, visit: SignedInVisit):
        self.visit, self.page = visit, visit.page

    def find(self, label: str, backwards: bool = False) -> None:
        """Press Tab until the element with this label has the focus, which must be visible."""
        seen = []
        for _ in range(80):
            self.page.keyboard.press("Shift+Tab" if backwards else "Tab")
            seen.append(self.page.evaluate(self.LABEL).strip())
            if re.match(label, seen[-1]):
                assert self.page.evaluate("document.activeElement.matches(':focus-visible')"), label
                return
        raise AssertionError(f"Tab never reaches {label!r}: {seen}")

    def press(self, label: str) -> None:
        self.find(label)
        self.page.keyboard.press("Enter")


def test_a_reviewer_signs_in_scores_and_decides_with_the_keyboard_only(site, team, new_reviewer, open_window):
    levels = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3)]
    criteria = [{"key": key, "title": key.title(), "levels": levels} for key in ("quality", "tests")]
    rubric = team.post("/v1/rubrics", {"name": "Engineers", "criteria": criteria})["rubric"]
    body = {"title": "Lost orders", "role": "Engineer", "taskBrief": "Find them.", "rubricId": rubric["id"]}
    assessment = team.post("/v1/assessments", body)["assessment"]
    body = {"count": 1, "candidateEmails": ["ada@example.com"], "candidateNames": ["Ada Lindqvist"]}
    (key,) = team.post(f"/v1/assessments/{assessment['id']}/keys", body)["keys"]
    session_id = work(site, key)

    visit = open_window(1280).go("/assessments")
    visit.page.get_by_label("API token").wait_for()
    keyboard = Keyboard(visit)
    keyboard.find("API token")
    visit.page.keyboard.insert_text(new_reviewer("Bob"))
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("button", name="Sign out").wait_for()
    visit.settle()
    keyboard.press("Lost orders")
    visit.page.wait_for_url(f"**/assessments/{assessment['id']}")
    visit.settle()
    keyboard.press("Ada Lindqvist")
    visit.page.wait_for_url(f"**/sessions/{session_id}*")
    visit.settle()
    keyboard.press("Score")
    visit.page.wait_for_url(f"**/sessions/{session_id}/score")
    visit.settle()
    keyboard.find("Events|Recorded events|The record")
    for name in ("ArrowDown", "Enter"):
        visit.page.keyboard.press(name)
    for done in (1, 2):
        keyboard.find("1 · Level 1")
        visit.page.keyboard.press("ArrowDown")
        keyboard.find("Comment")
        visit.page.keyboard.insert_text("Clear.")
        keyboard.press("Save score")
        assert visit.shows(f"You have scored {done} of 2 criteria.")
    keyboard.press("Decide")
    visit.page.get_by_role("dialog").wait_for()
    visit.page.keyboard.type("Adv")
    keyboard.find("Reason")
    visit.page.keyboard.insert_text("Clear work.")
    keyboard.press("Save")
    visit.page.get_by_role("dialog").wait_for(state="detached")
    client = Client(site.port, **team.headers)
    sheet = client.get(f"/v1/sessions/{session_id}/scores")
    assert [[score["value"] for score in each["scores"]] for each in sheet["criteria"]] == [[2], [2]]
    assert [len(each["scores"][0]["evidence"]) for each in sheet["criteria"]] == [1, 0]
    assert client.get(f"/v1/candidates/{key['id']}")["candidate"]["decision"] == "advanced"
    assert visit.is_clean()

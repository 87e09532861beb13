"""Inviting candidates, and the actions in their menus."""

import json

import pytest

from tests.live.cast import Candidate, invite, list_keys

LIST = '''\ufeffName;E-Mail;ID
"Liddell; ""Alice""";alice@example.com;a-1
Bob;bob@example.com;a-2
Carol;ALICE@example.com;a-3
Dan;not-an-address;a-4
Eve;;a-5
'''
PEOPLE = [
    ('"Liddell, Alice" <alice@example.com>', [("Liddell, Alice", "alice@example.com", "")]),
    ("a@example.com b@example.com\n\nc@example.com", [("", f"{name}@example.com", "") for name in "abc"]),
    (
        "Alice\talice@example.com\ta-1\r\nBob\tbob@example.com",
        [("Alice", "alice@example.com", "a-1"), ("Bob", "bob@example.com", "")],
    ),
    ("first name,last name,e-mail\nAlice,Liddell,alice@example.com", [("Alice Liddell", "alice@example.com", "")]),
    ("E-Mail,Note,Name\nalice@example.com,x,Alice", [("Alice", "alice@example.com", "")]),
    ("Mail,Note,Name\nalice@example.com,x,Alice", [("Alice", "alice@example.com", "")]),
    ('email,name\nalice@example.com,"Alice\nLiddell"', [("Alice\nLiddell", "alice@example.com", "")]),
    ("alice@example.com;Liddell, Alice;a-1", [("Liddell, Alice", "alice@example.com", "a-1")]),
    ("<script>alert(1)</script>", [("<script>alert(1)</script>", "", "")]),
    ("Alice Liddell alice@example.com", [("Alice Liddell", "alice@example.com", "")]),
    (
        "Alice Liddell <alice@example.com>, bob@example.com; carol@example.com",
        [("Alice Liddell", "alice@example.com", ""), ("", "bob@example.com", ""), ("", "carol@example.com", "")],
    ),
    ("4711,Alice,alice@example.com", [("Alice", "alice@example.com", "4711")]),
    (" \n\n", []),
]  # fmt: skip
READ = "async (text) => (await import('/console/shared/csv.js')).readPeople(text)"
# Shows only the menus that the board has in its rows.
MENUS = """async ([assessmentId, canWrite]) => {
    const api = await import("/console/shared/api.js");
    const { actionsMenu } = await import("/console/assessment/candidate_actions.js");
    const { assessment } = await api.get(`/v1/assessments/${assessmentId}`);
    const { candidates } = await api.get("/v1/candidates", { query: { assessmentId } });
    const can = (scope) => canWrite || scope === "read";
    const menus = candidates.map((candidate) => actionsMenu(candidate, assessment, { can, onChange: () => {} }));
    document.querySelector("main").replaceChildren(...menus);
}"""


@pytest.fixture
def menus(open_console, team, assessment):
    """`menus()`: a window with the candidates' menus for writers, or `menus(False)` for readers."""

    def open_menus(can_write=True):
        visit = open_console(team)
        visit.page.locator(".assessment-row").wait_for()
        visit.page.evaluate(MENUS, [assessment["id"], can_write])
        return visit

    return open_menus


def choose(visit, name, action):
    visit.page.get_by_role("button", name=f"Actions for {name}").click()
    visit.page.get_by_role("menuitem", name=action).click()


def menu_items(visit, name):
    visit.page.get_by_role("button", name=f"Actions for {name}").click()
    items = visit.page.locator("[role=menuitem]:visible:not([aria-disabled])")
    items.first.wait_for()
    texts = items.all_inner_texts()
    visit.page.keyboard.press("Escape")
    return texts


def test_pasted_lists_are_parsed(open_console, team):
    visit = open_console(team)
    for text, people in PEOPLE:
        rows = visit.page.evaluate(READ, text)
        assert [(row["name"], row["email"], row["externalId"]) for row in rows] == people, text
    assert visit.is_clean()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_files_are_read_in_common_encodings(open_console, team, assessment, encoding):
    visit = open_console(team)
    page = visit.page
    page.get_by_role("button", name=f"Invite: {assessment['title']}").click()
    content = "Name;E-Mail\r\nJürgen Groß;juergen@example.com\r\n".encode(encoding)
    file = {"name": "list.csv", "mimeType": "text/csv", "buffer": content}
    page.get_by_label("Or choose a CSV file").set_input_files(file)
    page.wait_for_function("document.querySelector('textarea').value")
    page.get_by_role("button", name="Check the list").click()
    page.get_by_role("cell", name="Jürgen Groß", exact=True).wait_for()
    assert visit.is_clean()


def test_a_list_is_checked_before_it_is_sent(site, open_console, team, assessment):
    invite(team, assessment, "bob@example.com")
    visit = open_console(team)
    page = visit.page
    page.get_by_role("button", name=f"Invite: {assessment['title']}").click()
    page.get_by_role("textbox", name="Candidates").fill(LIST)
    page.get_by_label("Invitation valid for (days)").fill("3")
    page.get_by_role("button", name="Check the list").click()
    page.locator(".people").wait_for()
    rows = [row.locator("td").all_inner_texts()[1:] for row in page.locator(".people tbody tr").all()]
    assert rows == [
        ['Liddell; "Alice"', "alice@example.com", "a-1", "Gets an invitation"],
        ["Bob", "bob@example.com", "a-2", "Skipped: already invited"],
        ["Carol", "ALICE@example.com", "a-3", "Skipped: same email address as line 2"],
        ["Dan", "not-an-address", "a-4", "Skipped: not a valid email address"],
        ["Eve", "", "a-5", "Skipped: no email address. Check the box for a link without email"],
    ]
    assert len(list_keys(team, assessment)) == 1
    assert page.get_by_role("checkbox", name="Invite Bob").is_disabled()
    page.get_by_role("checkbox", name="Invite Eve").check()
    page.get_by_role("button", name="Invite 2 candidates").click()
    page.get_by_role("button", name="Show 2 links").click()
    eve = next(key for key in list_keys(team, assessment) if key["candidateName"] == "Eve")
    assert page.get_by_text(eve["key"]).is_visible()
    keys = {key["candidateEmail"]: key for key in list_keys(team, assessment)}
    assert keys["alice@example.com"]["externalId"] == "a-1"
    assert keys["alice@example.com"]["expiresAt"] < keys["bob@example.com"]["expiresAt"]
    page.get_by_role("button", name="Close").click()
    visit.shows("3 invited")
    assert visit.is_clean()


def test_links_without_email_can_be_copied(open_console, team, assessment):
    visit = open_console(team)
    page = visit.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=f"Invite: {assessment['title']}").click()
    page.get_by_role("button", name="Links without email").click()
    page.get_by_label("Number of links").fill("2")
    page.get_by_role("button", name="Create links").click()
    page.get_by_role("button", name="Copy all links").click()
    page.get_by_role("button", name="Copied").wait_for()
    links = [f"{visit.address}/start#{key['key']}" for key in list_keys(team, assessment)]
    assert page.evaluate("navigator.clipboard.readText()") == "\n".join(links)
    assert visit.is_clean()


def test_retrying_after_a_lost_response_invites_nobody_twice(open_console, team, assessment):
    visit = open_console(team)
    page, sent = visit.page, []

    def lose_first_response(route):
        if route.request.method != "POST":
            return route.continue_()
        sent.append(route.request)
        response = route.fetch()
        return route.abort() if len(sent) == 1 else route.fulfill(response=response)

    page.route("**/keys", lose_first_response)
    page.get_by_role("button", name=f"Invite: {assessment['title']}").click()
    people = "\n".join(f"person{n}@example.com" for n in range(60))
    page.get_by_role("textbox", name="Candidates").fill(people)
    page.get_by_role("button", name="Check the list").click()
    page.get_by_role("button", name="Invite 60 candidates").click()
    visit.shows("60 failed.")
    visit.messages.clear()  # the browser reports the lost response
    page.get_by_role("button", name="Retry the rest").click()
    page.get_by_role("button", name="Close").and_(page.locator(".primary")).wait_for()
    assert page.get_by_text("failed").count() == 0
    assert [len(json.loads(request.post_data)["candidates"]) for request in sent] == [50, 50, 10]
    addresses = [key["candidateEmail"] for key in list_keys(team, assessment)]
    assert len(addresses) == len(set(addresses)) == 60
    assert visit.is_clean()


def test_menus_depend_on_status_and_scope(site, team, assessment, menus):
    _, active, done = invite(team, assessment, *[f"{name}@example.com" for name in ("p", "a", "d")])["keys"]
    Candidate(site, active)
    Candidate(site, done).complete()
    visit = menus()
    both = ["Copy link", "Copy key", "Show emails", "Resend invitation"]
    ending = ["Revoke invitation", "Erase data"]
    assert menu_items(visit, "p@example.com") == [
        *both,
        *("Send a reminder", "Change name or email", "Extend invitation", "Change time limit", *ending),
    ]
    assert menu_items(visit, "a@example.com") == [
        *both,
        *("Change name or email", "Change time limit"),
        "Allow another computer",
        *ending,
    ]
    assert menu_items(visit, "d@example.com") == ["Show emails", "Change name or email", *ending]
    site.execute("UPDATE candidate_keys SET expires_at = created_at WHERE candidate_email = 'p@example.com'")
    assert "Extend invitation" in menu_items(visit, "p@example.com")
    reader = menus(False)
    assert menu_items(reader, "d@example.com") == ["Show emails"]
    assert visit.is_clean()
    assert reader.is_clean()


def test_an_extension_and_a_time_limit_can_be_undone(site, team, assessment, menus):
    (key,) = invite(team, assessment, "alice@example.com")["keys"]
    site.execute("UPDATE deliveries SET state = 'sent' WHERE subject_id = %s", site.stored_id(key["id"]))
    path = f"/v1/candidates/{key['id']}"
    visit = menus()
    page = visit.page
    choose(visit, "alice", "Extend invitation")
    page.get_by_label("Additional days").fill("10")
    page.get_by_role("button", name="Extend", exact=True).click()
    page.get_by_role("button", name="Undo").wait_for()
    extended = team.get(path)["candidate"]
    assert (extended["expiresAt"] > key["expiresAt"], extended["invite"]["state"]) == (True, "queued")
    with page.expect_response("**/extend"):
        page.get_by_role("button", name="Undo").click()
    assert team.get(path)["candidate"]["invite"]["state"] == "sent"
    assert team.get(path)["candidate"]["expiresAt"] == key["expiresAt"]
    choose(visit, "alice", "Change time limit")
    page.get_by_label("A multiple of the time limit").check()
    assert page.get_by_text("Time limit for this candidate: 2 h 15 min.").is_visible()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert team.get(f"{path}/accommodation")["accommodation"]["timeLimitMinutes"] == 135
    with page.expect_response("**/accommodation"):
        page.get_by_role("button", name="Undo").click()
    assert team.get(f"{path}/accommodation")["accommodation"]["timeLimitMinutes"] == 90
    assert visit.is_clean()


def test_menus_work_with_the_keyboard_and_erasing_is_confirmed_with_the_name(team, assessment, menus):
    invite(team, assessment, "alice@example.com", candidateNames=["Alice"])
    visit = menus()
    page = visit.page
    button = page.get_by_role("button", name="Actions for Alice")
    button.focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("menuitem", name="Copy link").and_(page.locator(":focus")).wait_for()
    page.keyboard.press("End")
    page.get_by_role("menuitem", name="Erase data").and_(page.locator(":focus")).wait_for()
    page.keyboard.press("Escape")
    button.and_(page.locator(":focus")).wait_for()
    for is_open in (True, False):
        button.click()
        button.and_(page.locator(f"[aria-expanded={str(is_open).lower()}]")).wait_for()
    assert page.get_by_role("menu").count() == 0
    choose(visit, "Alice", "Erase data")
    page.get_by_label("To confirm, type: Alice").fill("Bob")
    page.get_by_role("button", name="Erase", exact=True).click()
    visit.shows("Must be: Alice")
    page.get_by_label("To confirm, type: Alice").fill("alice")
    page.get_by_role("button", name="Erase", exact=True).click()
    visit.shows("The data has been erased.")
    assert list_keys(team, assessment) == []
    assert visit.is_clean()


def test_a_failed_retry_of_an_email_is_reported(site, team, assessment, menus):
    invite(team, assessment, "alice@example.com", candidateNames=["Alice"])
    site.execute("UPDATE deliveries SET state = 'failed', last_error = 'Rejected.' WHERE state = 'queued'")
    visit = menus()
    choose(visit, "Alice", "Show emails")
    visit.page.route("**/retry", lambda route: route.abort())
    visit.page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    assert visit.shows("Could not reach the service")
    assert visit.page.get_by_text("will be sent again").count() == 0
    visit.page.unroute("**/retry")
    visit.page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    assert visit.shows("will be sent again")

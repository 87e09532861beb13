"""Integrations and notifications in the console, with stand-ins for the systems."""

import uuid

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import add_rubric
from tests.browser.console.organization import CLOSING, MARKUP, REVERSED, add_person
from tests.browser.console.test_every_page import check
from tests.browser.console.test_organization import press
from tests.live.cast import ASSESSMENT
from tests.live.service import Service, wait_until
from tests.servers import free_port

pytest.importorskip("integrations")

from integrations.orders import REASONS
from integrations.tables import STATES
from tests.integrations.ashby_server import AshbyServer
from tests.integrations.slack_server import SlackServer
from tests.integrations.stand_in import serving
from tests.integrations.story import settings_for

ORDER = """
    INSERT INTO integration_orders (id, created_at, integration_id, rule_id, application_id, state, reason, attempts,
        refreshed_at, report_number, updated_at, last_error)
    VALUES (%s, %s, %s, %s, %s, %s, %s, 0, %s, 1, %s, %s)
"""
REPORT = """
    INSERT INTO integration_reports (id, created_at, integration_id, order_id, number, status, text, state, attempts,
        is_unknown, due_at, last_error)
    VALUES (%s, %s, %s, %s, 1, 'scored', 'Scored', 'failed', 1, %s, %s, %s)
"""


@pytest.fixture(scope="module")
def systems():
    with serving(AshbyServer(), SlackServer()) as servers:
        yield servers


@pytest.fixture(scope="module")
def site(systems, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("integrations"), free_port()
    settings = settings_for(folder, *systems)
    with Service(folder, BASE_URL=f"http://localhost:{port}", **settings) as service:
        service.start(processes=1, port=port)
        with service.worker():
            yield service


@pytest.fixture
def account(systems):
    """A customer's account with a job and a stage."""
    account = systems[0].add_account()
    account.job = account.add_job("Backend Engineer")
    account.stage = account.add_stage("Take-home", account.job)
    return account


@pytest.fixture
def hostile_integration(site, systems, team):
    """A stopped integration with hostile texts, and an order in each state and with each reason."""
    account = systems[0].add_account()
    account.plan["title"] = REVERSED
    job = account.add_job(MARKUP + REVERSED)
    stage = account.add_stage("W" * 255, job)
    for name in (MARKUP, "W" * 255, REVERSED):
        account.apply(job, stage, "ada@example.com", first=name)
    assessment = team.post("/v1/assessments", ASSESSMENT | {"title": CLOSING})["assessment"]
    body = {"system": "ashby", "name": MARKUP, "credential": {"apiKey": account.key}}
    integration = team.post("/v1/integrations", body)["integration"]
    path = f"/v1/integrations/{integration['id']}"
    body = {"stageId": stage, "jobId": job, "assessmentId": assessment["id"]}
    rule = team.post(f"{path}/rules", body)["rule"]
    now, integration_id = site.stored_time(seconds_ago=60), site.stored_id(integration["id"])
    for state, reason in [(state, None) for state in STATES[:-1]] + [("attention", name) for name in REASONS]:
        application = None if state == "erased" else f"{REVERSED}{MARKUP}{state}{reason}"
        order_id, error = site.stored_id(str(uuid.uuid4())), "Ashby responded with 422." if reason else None
        rule_id = site.stored_id(rule["id"])
        values = (order_id, now, integration_id, rule_id, application, state, reason, now, now, error)
        site.execute(ORDER, *values)
        values = (site.stored_id(str(uuid.uuid4())), now, integration_id, order_id, False, now, error)
        site.execute(REPORT, *values)
    stopped = "UPDATE integrations SET stopped_reason = 'credential_rejected' WHERE id = %s"
    site.execute(stopped, integration_id)
    return integration


def connect(visit, key):
    press(visit, "Connect a system")
    visit.page.get_by_label("System", exact=True).select_option("Ashby")
    visit.page.get_by_label("API key").fill(key)
    press(visit, "Connect")


def save(visit):
    press(visit, "Save")
    visit.page.locator("dialog").wait_for(state="detached")


def orders_of(team):
    (integration,) = team.get("/v1/integrations")["integrations"]
    return team.get(f"/v1/integrations/{integration['id']}/orders")["orders"]


def test_a_system_is_connected_and_waiting_candidates_are_invited(open_console, team, account, assessment):
    add_rubric(team, assessment)
    account.apply(account.job, account.stage, "ada@example.com")
    account.apply(account.job, account.stage, first="Grace", last="Hopper")
    visit = open_console(team, "/organization/integrations")
    connect(visit, account.key)
    assert visit.shows("Create the webhook in Ashby")
    assert visit.page.get_by_label("Webhook URL", exact=True).input_value().endswith("/events")
    assert visit.page.get_by_label("Secret", exact=True).input_value()
    check(visit)
    press(visit, "Close")
    press(visit, "Check now: Ashby")
    assert visit.shows("The system accepts the credential.")
    press(visit, "Close")
    press(visit, "Add a rule: Ashby")
    visit.page.get_by_label("Job", exact=True).select_option("Backend Engineer")
    visit.page.get_by_label("Stage", exact=True).select_option(label="Engineering: Take-home")
    press(visit, "Save")
    visit.page.get_by_role("dialog", name="Invite waiting candidates").wait_for()
    check(visit)
    for name in ("Ada Lovelace", "Grace Hopper"):
        visit.page.get_by_label(name).check()
    press(visit, "Invite")
    wait_until(
        lambda: {order["state"] for order in orders_of(team)} == {"invited", "attention"},
        "Nobody was invited.",
    )
    visit = open_console(team, "/organization/integrations")
    assert visit.shows("Add an address there, then retry.")
    visit.page.get_by_label("State").select_option("Invited")
    assert visit.shows("1 order")
    assert visit.is_clean()
    visit = open_console(team, "/todo")
    assert visit.shows("1 order needs attention.")
    assert visit.is_clean()


def test_more_than_200_candidates_are_invited_in_several_requests(open_console, team, hostile_integration):
    sent = []

    def answer(route):
        if route.request.method == "POST":
            ids = route.request.post_data_json["applicationIds"]
            sent.append(ids)
            return route.fulfill(json={"orders": [{"applicationId": each} for each in ids]})
        rows = [{"applicationId": str(number), "name": None, "email": None} for number in range(401)]
        return route.fulfill(json={"applications": rows})

    path = "/organization/integrations"
    visit = open_console(team, path, before=lambda page: page.route("**/catch-up", answer)).settle()
    visit.page.get_by_role("button", name="Invite waiting candidates").click()
    visit.page.locator("[name=applications]").last.wait_for()
    check_all = "document.querySelectorAll('[name=applications]').forEach((box) => { box.checked = true; })"
    visit.page.evaluate(check_all)
    press(visit, "Invite")
    assert visit.shows("401 candidates are being invited.")
    assert [len(ids) for ids in sent] == [200, 200, 1]
    assert [each for ids in sent for each in ids] == [str(number) for number in range(401)]


def test_an_order_is_not_linked_to_the_session_of_a_hidden_candidate(open_console, team, hostile_integration):
    def change(route):
        response = route.fetch()
        body = response.json()
        for number, order in enumerate(body["orders"]):
            order |= {"sessionId": str(uuid.uuid4()), "candidateHidden": number > 0}
        route.fulfill(response=response, json=body)

    path = "/organization/integrations"
    visit = open_console(team, path, before=lambda page: page.route("**/orders?*", change)).settle()
    assert visit.page.locator("main a[href^='#/sessions/']").count() == 1


def test_a_wrong_credential_is_replaced(open_console, team, account):
    visit = open_console(team, "/organization/integrations")
    connect(visit, "wrong")
    press(visit, "Close")
    press(visit, "Check now: Ashby")
    assert visit.shows("Ashby responded with 403 (invalid_api_key).")
    press(visit, "Close")
    assert visit.shows("The last call failed")
    press(visit, "Change: Ashby")
    visit.page.get_by_label("API key").fill(account.key)
    save(visit)
    press(visit, "Check now: Ashby")
    assert visit.shows("The system accepts the credential.")
    press(visit, "Close")
    assert visit.shows("Last error")
    assert visit.page.get_by_text("The last call failed").count() == 0
    assert visit.is_clean()


def test_hostile_texts_and_every_state_are_shown(open_console, team, hostile_integration):
    visit = open_console(team, "/organization/integrations").settle()
    assert visit.shows("The system rejected the credential.")
    for message, remedy in REASONS.values():
        assert visit.shows(message)
        assert visit.shows(remedy)
    check(visit)
    visit.page.get_by_label("State").select_option("All")
    assert visit.shows(f"{len(STATES) - 1 + len(REASONS)} orders")
    check(visit)
    text = visit.page.locator("main").inner_text()
    assert "U+202E" in text
    assert "\u202e" not in text
    assert visit.is_clean()
    for path in ("/todo", "/organization/notifications"):
        visit = open_console(team, path).settle()
        check(visit)
        assert visit.is_clean()


def test_hostile_texts_in_dialogs_and_their_focus(open_console, team, hostile_integration):
    """Opened and closed with the keyboard. A closed dialog returns the focus to its button."""
    visit = open_console(team, "/organization/integrations").settle()
    for name in ("Add a rule", "Invite waiting candidates", "Change"):
        button = visit.page.locator("main").get_by_role("button", name=name).last
        label = button.get_attribute("aria-label")
        button.focus()
        visit.page.keyboard.press("Enter")
        visit.page.locator("dialog[open]").wait_for()
        check(visit.settle())
        visit.page.keyboard.press("Escape")
        visit.page.locator("dialog").wait_for(state="detached")
        assert visit.page.evaluate("document.activeElement.getAttribute('aria-label')") == label
    assert visit.is_clean()


def test_retry_all_leaves_out_what_a_person_must_decide(open_console, team, hostile_integration):
    visit = open_console(team, "/organization/integrations").settle()
    retried = []

    def retry(route):
        retried.append(route.request.url.split("/")[-2])
        route.fulfill(json={"order": {}})

    visit.page.route("**/retry", retry)
    press(visit, "Retry all")
    assert visit.shows("Trying again.")
    reasons = {order["reason"] for order in orders_of(team) if order["id"] in retried}
    continuing = {"credential_rejected", "email_suppressed"}
    assert reasons == REASONS.keys() - {"already_assessed", "may_not_email"} - continuing


@pytest.mark.parametrize("role", ["reviewer", "observer"])
def test_only_admins_get_actions(open_console, team, hostile_integration, role):
    visit = open_console(add_person(team, "Olga", role), "/organization/integrations", width=PHONE).settle()
    assert visit.page.locator("main").get_by_role("button").all_inner_texts() == ["Reload"]
    check(visit)
    assert visit.is_clean()


def test_a_channel_is_added_and_tested(open_console, team, systems):
    url = systems[1].add_channel()
    visit = open_console(team, "/organization/notifications")
    press(visit, "Add a channel")
    check(visit.settle())
    visit.page.get_by_label("Name", exact=True).fill("#hiring")
    visit.page.get_by_label("Webhook URL").fill(url)
    visit.page.get_by_label("Session scored").check()
    press(visit, "Save")
    assert visit.shows("Submission received, Session scored, Order needs attention")
    press(visit, "Send a test: #hiring")
    assert visit.shows("The test message was accepted.")
    assert len(systems[1].texts(url)) == 1
    check(visit.settle())
    assert visit.is_clean()


def test_a_channel_that_slack_no_longer_accepts_says_what_to_do(open_console, site, team, systems):
    body = {"name": MARKUP, "url": systems[1].add_channel()}
    channel = team.post("/v1/notifications", body)["channel"]
    gone = "UPDATE notification_channels SET disabled_reason = 'gone', last_error = %s, last_error_at = %s"
    error = "Slack responded with 404."
    now, channel_id = site.stored_time(seconds_ago=60), site.stored_id(channel["id"])
    site.execute(f"{gone} WHERE id = %s", error, now, channel_id)
    visit = open_console(team, "/organization/notifications").settle()
    assert visit.shows("Disabled: gone")
    assert visit.shows(error)
    assert visit.shows("Enter a new one, then enable the channel.")
    check(visit)
    assert visit.is_clean()
    visit = open_console(team, "/todo").settle()
    assert visit.shows("Disabled channels")
    assert visit.shows("Enter a new one, then enable the channel.")
    check(visit)
    visit.page.get_by_role("link", name="Open notifications").click()
    assert visit.shows("Disabled: gone")


def test_the_console_hides_the_pages_without_the_package(open_console, team):
    def remove_package(route):
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace(" data-integrations", ""))

    path = "/organization/integrations"
    visit = open_console(team, path, before=lambda page: page.route("**/console", remove_package)).settle()
    assert visit.shows("Not found")
    links = visit.page.get_by_role("navigation", name="Organization").get_by_role("link")
    assert not {"Integrations", "Notifications"} & set(links.all_inner_texts())
    visit.go("/todo").settle()
    assert [url for url in visit.requests if "/v1/integrations" in url] == []
    assert visit.is_clean()

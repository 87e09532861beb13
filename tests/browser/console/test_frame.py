"""The console's frame and shared modules: addresses, focus, failures, dialogs and links."""

import pytest

SESSION_ID = "019d5ca3-79c7-7552-9a53-4a3e0b34ff02"
LINKS = """async () => {
  const {h, externalLink} = await import("./console/shared/dom.js");
  const links = [
    h("a", {href: "javascript:alert(1)"}), h("a", {href: "java\\nscript:alert(1)"}), h("a", {href: "data:text/html,1"}),
    h("a", {href: "#/todo"}), h("a", {href: "https://example.com/"}), externalLink("javascript:alert(1)"),
    externalLink("//example.com"), externalLink("https://example.com@example.org"), externalLink("https://example.com/"),
  ];
  return links.map((link) => link.getAttribute("href"));
}"""
SLOW_THEN_FAST = """async () => {
  const {renderAsync} = await import("./console/shared/states.js");
  const container = document.querySelector("main");
  let respond;
  const slow = renderAsync(container, () => new Promise((resolve) => (respond = resolve)), (text) => text);
  await renderAsync(container, async () => "second", (text) => text);
  respond("first");
  await slow;
  return [container.innerText, container.hasAttribute("aria-busy")];
}"""
SLOW_DIALOG = """async () => {
  const {ask, field} = await import("./console/shared/dialogs.js");
  const {h} = await import("./console/shared/dom.js");
  const {ApiError} = await import("./console/shared/api.js");
  const input = h("input", {name: "title"});
  window.saved = new Promise((resolve) => (window.respond = resolve));
  window.reject = new ApiError(422, {error: "Wrong.", details: [{path: ["title"], message: "Too long."}]});
  window.result = ask({title: "Rename", content: field("Title", input, "Shown to all."), save: async () => {
    if (input.value === "long") throw window.reject;
    return await window.saved;
  }});
}"""
DESCRIBE = """async (error) => {
  const {ApiError} = await import("./console/shared/api.js");
  const {describeError} = await import("./console/shared/states.js");
  return describeError(new ApiError(400, error));
}"""

COUNTS = """async () => {
  const {t} = await import("./console/shared/texts.js");
  return [1, 2, 1234].map((n) => t("board.count", {n}));
}"""


def test_the_navigation_shows_the_pages_and_the_organization(open_console, team):
    visit = open_console(team)
    assert visit.heading() == "Assessments"
    links = visit.page.locator("nav a").all_inner_texts()
    assert links == ["Assessments", "Candidates", "To do", "Rubrics", "Organization"]
    help_link = visit.page.get_by_role("link", name="Help")
    assert help_link.get_attribute("href").endswith("/docs/hiring-teams.md#assessments")
    assert visit.shows("Northwind Traders")
    assert visit.is_clean()


@pytest.mark.parametrize(
    "address",
    [
        "/no/such/page",
        "/sessions/%E0%A4%A",
        f"/sessions/..%2F..%2Fv1%2Fsessions%2F{SESSION_ID}",
        "/sessions/..",
    ],
)
def test_unknown_addresses_are_not_found(open_console, team, address):
    visit = open_console(team, address)
    assert visit.heading() == "Not found"
    paths = [url.removeprefix(visit.address) for url in visit.requests if "/v1/" in url]
    assert paths == ["/v1/sign-in"]
    assert visit.is_clean()


def test_the_focus_moves_to_the_next_pages_heading(open_console, team):
    visit = open_console(team).settle()
    assert visit.page.evaluate("document.activeElement.tagName") == "BODY"
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.tagName") == "MAIN"
    visit.page.goto(f"{visit.address}/console#/no/such/page")
    visit.page.wait_for_function("document.activeElement.matches('h1')")
    assert visit.is_clean()


def test_an_unreachable_service_can_be_retried(open_console, team):
    visit = open_console(team)
    visit.heading()
    visit.page.route("**/v1/sign-in", lambda route: route.abort())
    visit.page.reload()
    visit.page.get_by_role("heading", name="Could not reach the service").wait_for()
    visit.page.unroute("**/v1/sign-in")
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.get_by_role("heading", name="Assessments", level=1).wait_for()
    assert visit.messages.pop() == "Failed to load resource: net::ERR_FAILED"
    assert visit.is_clean()


@pytest.mark.parametrize("body", ["<h1>Bad gateway</h1>", "null", '{"error": null}'])
def test_a_proxys_error_page_is_reported_as_a_service_error(open_console, team, body):
    visit = open_console(team)
    visit.heading()
    visit.page.route("**/v1/sign-in", lambda route: route.fulfill(status=502, body=body))
    visit.page.reload()
    visit.page.get_by_text("The service returned an error.").wait_for()
    assert [message for message in visit.messages if "502" not in message] == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            {"code": "invalid_request", "error": "The request is invalid. See `details`."},
            "limit: Must be from 1.",
        ),
        ({"code": "read_only_field", "error": "Omit `status`."}, "Omit status. limit: Must be from 1."),
    ],
)
def test_messages_contain_no_code(open_console, team, error, text):
    detail = {"path": ["limit"], "message": "Must be from `1`."}
    visit = open_console(team)
    assert visit.page.evaluate(DESCRIBE, error | {"details": [detail]}) == ["Something went wrong", text]


def test_links_never_run_scripts(open_console, team):
    visit = open_console(team)
    visit.heading()
    assert visit.page.evaluate(LINKS) == [
        *(None, None, None, "#/todo", "https://example.com/"),
        *(None, None, None, "https://example.com/"),
    ]
    assert visit.is_clean()


def test_a_slow_load_does_not_replace_a_later_one(open_console, team):
    visit = open_console(team)
    visit.heading()
    assert visit.page.evaluate(SLOW_THEN_FAST) == ["second", False]
    assert visit.is_clean()


def test_a_dialog_shows_an_error_next_to_its_field_and_keeps_the_hint(open_console, team):
    visit = open_console(team)
    visit.heading()
    visit.page.evaluate(SLOW_DIALOG)
    title = visit.page.get_by_role("textbox", name="Title")
    title.fill("long")
    title.press("Enter")
    visit.page.get_by_text("Too long.").wait_for()
    descriptions = title.evaluate(
        "field => field.getAttribute('aria-describedby').split(' ').map(id => document.getElementById(id).innerText)"
    )
    assert descriptions == ["Shown to all.", "Too long."]
    assert title.evaluate("field => field === document.activeElement")
    title.fill("short")
    title.press("Enter")
    assert title.get_attribute("aria-invalid") is None
    visit.page.evaluate("window.respond('saved')")
    assert visit.page.evaluate("window.result") == "saved"
    assert visit.is_clean()


def test_a_dialog_closed_while_saving_still_returns_the_result(open_console, team):
    visit = open_console(team)
    visit.heading()
    visit.page.evaluate(SLOW_DIALOG)
    visit.page.get_by_role("textbox", name="Title").press("Enter")
    visit.page.keyboard.press("Escape")
    visit.page.get_by_role("dialog").wait_for(state="hidden")
    visit.page.evaluate("window.respond('saved')")
    assert visit.page.evaluate("window.result") == "saved"
    assert visit.is_clean()


def test_texts_use_plurals_and_format_numbers(open_console, team):
    visit = open_console(team).settle()
    assert visit.page.evaluate(COUNTS) == ["1 candidate", "2 candidates", "1,234 candidates"]

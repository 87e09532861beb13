"""Signing in and out in a real browser, and attacks from another origin."""

import re

import pytest

from tests.browser.conftest import Visit
from tests.browser.console.test_every_page import violations
from tests.live.cast import Candidate
from tests.live.client import Client
from tests.live.service import Service
from tests.servers import free_port, oidc_provider


@pytest.fixture
def visit(browser, site):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Visit(context, f"http://localhost:{site.port}")
    context.close()


def sign_in(visit, team, path="/sign-in?to=/todo/"):
    visit.page.goto(f"{visit.address}/console#{path}")
    visit.page.get_by_label("API token").fill(team.headers["Authorization"].removeprefix("Bearer "))
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.get_by_role("button", name="Sign out").wait_for()


def test_sign_in_with_a_token_and_sign_out(visit, team):
    sign_in(visit, team)
    (cookie,) = visit.page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == ("__Host-proofstone", True, True)
    assert visit.shows("Northwind Traders")
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.get_by_label("API token").wait_for()
    assert visit.page.context.cookies() == []


def test_a_new_sign_in_applies_to_all_tabs(visit, team, bob):
    """Otherwise a person could score in another person's name."""
    sign_in(visit, team)
    assert visit.shows("First token · Northwind Traders")
    sign_in(Visit(visit.page.context, visit.address), bob, "/sign-in")
    assert visit.shows("Bob · Northwind Traders")
    assert visit.messages == []


def test_an_invalid_token_is_rejected(visit, site):
    visit.page.goto(f"{visit.address}/console#/sign-in")
    visit.page.wait_for_function("() => document.activeElement.name === 'token'")
    visit.page.keyboard.type("psk_live_wrong")
    visit.page.get_by_role("button", name="Sign in").click()
    assert visit.shows("This token is unknown, expired or revoked.")


def test_an_invalid_links_secret_is_removed_from_the_address(visit, site):
    visit.page.goto(f"{visit.address}/console#/sign-in?grant=pss_wrong")
    assert visit.shows("This link has expired or been used.")
    assert "grant" not in visit.page.url


def emailed_link(site, visit, email):
    """Request a sign-in link, and return it from the email."""
    page = Client(site.port, Origin=visit.address, **{"X-Proofstone-Console": "1"})
    assert page.post("/v1/sign-in/email", {"email": email}).status == 202
    for _ in ("queue", "send"):
        site.flask("worker", "--once")
    texts = [mail.read_text() for mail in site.mail_folder.glob("*.eml")]
    (link,) = re.findall(r"http\S+grant=\S+", "".join(text for text in texts if email in text))
    return link


def create_person(team, email):
    team.post("/v1/org/people", {"name": "Bob Sample", "email": email, "role": "reviewer"})


def test_an_emailed_link_shows_the_person_and_signs_in_after_a_click(site, visit, team):
    create_person(team, "rose@northwind.example")
    visit.page.goto(emailed_link(site, visit, "rose@northwind.example"))
    assert visit.shows("This browser will be signed in as rose@northwind.example for 12 hours.")
    assert "grant" not in visit.page.url
    assert visit.page.context.cookies() == []
    visit.page.get_by_role("button", name="Sign in to Northwind Traders").click()
    assert visit.shows("Bob Sample · Northwind Traders")


def test_another_persons_link_shows_the_current_sign_in(site, visit, team):
    """An attacker could email their own link, so that others work in the attacker's organization."""
    sign_in(visit, team)
    create_person(site.organization("Mallory Ltd"), "mallory@mallory.example")
    visit.page.goto(emailed_link(site, visit, "mallory@mallory.example"))
    assert visit.shows("This browser will be signed in as mallory@mallory.example for 12 hours.")
    assert visit.shows("This browser is signed in as First token (Northwind Traders).")
    assert violations(visit, ("light", "dark")) == []
    assert visit.messages == []
    visit.page.goto(f"{visit.address}/console#/todo")
    assert visit.shows("Northwind Traders")


def test_a_company_account_signs_in_and_returns_to_the_requested_page(browser, tmp_path):
    port, email = free_port(), "bob@northwind.example"
    address = f"http://localhost:{port}"
    with oidc_provider({"sub": "bob", "email": email, "email_verified": True}) as issuer:
        settings = {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": "one", "OIDC_CLIENT_SECRET": "two"}
        with Service(tmp_path, BASE_URL=address, **settings) as service:
            service.start(processes=1, port=port)
            create_person(service.organization("Northwind Traders"), email)
            visit = Visit(browser.new_context(), address)
            visit.page.goto(f"{address}/console#/todo")
            visit.page.get_by_role("link", name="Sign in with your company account").click()
            visit.page.get_by_role("button", name="bob").click()
            assert visit.shows("Bob Sample · Northwind Traders")
            assert visit.page.url == f"{address}/console#/todo"
            visit.page.context.close()


def test_signing_in_returns_to_the_requested_page_once(visit, team, assessment):
    """Even if the address no longer has it, as after an emailed link or a company account's sign-in."""
    path = f"/assessments/{assessment['id']}?q=ada&sort=status&order=asc"
    visit.page.goto(f"{visit.address}/console#{path}")
    visit.page.get_by_label("API token").wait_for()
    visit.page.goto(f"{visit.address}/")
    visit.page.goto(f"{visit.address}/console#/sign-in")
    visit.page.get_by_label("API token").fill(team.headers["Authorization"].removeprefix("Bearer "))
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(f"**/console#{path}")
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.wait_for_url("**/console#/sign-in")
    sign_in(visit, team, "/sign-in")
    visit.page.wait_for_url("**/console#/assessments")


def test_signing_out_while_a_page_loads_does_not_return_to_that_page(visit, team, assessment):
    held = []
    visit.page.route("**/v1/todo*", lambda route: held.append(route))
    sign_in(visit, team, f"/sign-in?to=/assessments/{assessment['id']}")
    assert visit.shows("No candidates yet")

    def sign_out(route):
        response = route.fetch()
        (todo,) = held
        todo.fulfill(response=todo.fetch())
        route.fulfill(response=response)

    visit.page.route("**/v1/sign-in/session", sign_out)
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.get_by_label("API token").wait_for()
    visit.page.unroute("**/v1/todo*")
    sign_in(visit, team, "/sign-in")
    visit.page.wait_for_url("**/console#/assessments")


def test_a_link_to_a_session_shows_nothing_about_it_before_the_sign_in(site, visit, team, assessment):
    """Such as the link in a report in an applicant-tracking system."""
    body = {"count": 1, "candidates": [{"name": "Ada Lovelace"}]}
    key = team.post(f"/v1/assessments/{assessment['id']}/keys", body)["keys"][0]
    path = f"/sessions/{Candidate(site, key).session_id}"
    visit.page.goto(f"{visit.address}/console#{path}")
    visit.page.get_by_label("API token").wait_for()
    requests = [url for url in visit.requests if "/v1/" in url]
    assert set(requests) == {f"{visit.address}/v1/sign-in"}
    for text in ("Ada", assessment["title"], "Northwind Traders"):
        assert text not in visit.page.content()
    visit.page.get_by_label("API token").fill(team.headers["Authorization"].removeprefix("Bearer "))
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(f"**/console#{path}")
    assert visit.shows("Ada Lovelace")
    assert visit.messages == []


@pytest.mark.parametrize("address", ["//foreign.example/", "https://foreign.example/", "javascript:alert(1)"])
def test_signing_in_does_not_redirect_to_foreign_addresses(visit, team, address):
    sign_in(visit, team, f"/sign-in?to={address}")
    visit.page.wait_for_url("**/console#/assessments")


def test_another_origin_cannot_use_the_sign_in(visit, site, team):
    """A different port is the same site, so the browser sends the cookie."""
    sign_in(visit, team)
    before = team.get("/v1/audit")["total"]
    page = visit.page.context.new_page()
    page.route("http://localhost:9/*", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    page.goto("http://localhost:9/")
    result = page.evaluate(
        """async (api) => {
          const attempt = async (options, path = "/v1/assessments") => {
            try {
              return (await fetch(api + path, {credentials: "include", ...options})).type;
            } catch (error) {
              return "rejected";
            }
          };
          const body = JSON.stringify({title: "One", role: "Two", taskBrief: "Three"});
          const headers = {"Content-Type": "application/json", "X-Proofstone-Console": "1"};
          return [
            await attempt({}),
            await attempt({method: "POST", body, headers}),
            await attempt({method: "DELETE"}, "/v1/sign-in/sessions"),
            await attempt({method: "POST", body, mode: "no-cors"}),
          ];
        }""",
        visit.address,
    )
    assert result == ["rejected"] * 4
    page.evaluate(
        """(api) => {
          const image = new Image();
          image.src = api + "/v1/assessments";
          const form = document.createElement("form");
          Object.assign(form, {method: "POST", action: api + "/v1/assessments", enctype: "text/plain"});
          document.body.append(form);
          form.submit();
        }""",
        visit.address,
    )
    page.wait_for_url("**/v1/assessments")
    assert "foreign_origin" in page.content()
    assert team.get("/v1/audit")["total"] == before


def test_signing_out_everywhere_signs_out_other_browsers_and_deletes_drafts(browser, visit, site, team):
    other = Visit(browser.new_context(), visit.address)
    sign_in(other, team)
    sign_in(visit, team)
    visit.page.goto(f"{visit.address}/console#/assessments/new")
    visit.page.get_by_label("Role").fill("Data engineer")
    assert visit.page.evaluate("sessionStorage.length") == 1
    visit.page.goto(f"{visit.address}/console#/organization/sign_ins")
    assert visit.shows("2 sign-ins")
    visit.page.get_by_role("button", name="Sign out everywhere").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    visit.page.get_by_label("API token").wait_for()
    assert visit.page.evaluate("sessionStorage.length") == 0
    other.page.reload()
    other.page.get_by_label("API token").wait_for()
    other.page.context.close()

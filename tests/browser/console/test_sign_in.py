"""Signing in and out in a real browser, and a page of another origin that tries to use the cookie."""

import pytest

from tests.browser.conftest import Visit


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


def test_sign_in_with_a_token_and_out(visit, team):
    sign_in(visit, team)
    (cookie,) = visit.page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == ("__Host-proofstone", True, True)
    assert visit.shows("Northwind Traders")
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.get_by_label("API token").wait_for()
    assert visit.page.context.cookies() == []


def test_a_wrong_token_is_an_error_that_says_so(visit, site):
    visit.page.goto(f"{visit.address}/console#/sign-in")
    visit.page.get_by_label("API token").fill("psk_live_wrong")
    visit.page.get_by_role("button", name="Sign in").click()
    assert visit.shows("This token is unknown, expired or revoked.")


def test_a_used_link_leaves_no_secret_in_the_address(visit, site):
    visit.page.goto(f"{visit.address}/console#/sign-in?grant=pss_wrong")
    visit.page.get_by_role("button", name="Sign in").click()
    assert visit.shows("This sign-in link has expired or was already used.")
    assert "grant" not in visit.page.url


def test_signing_in_returns_to_the_wanted_page_once(visit, team, assessment):
    """Also if the address has lost it: a mailed link and the company's account come back without it."""
    wanted = f"/assessments/{assessment['id']}?q=ada&sort=status&order=asc"
    visit.page.goto(f"{visit.address}/console#{wanted}")
    visit.page.get_by_label("API token").wait_for()
    visit.page.goto(f"{visit.address}/")
    visit.page.goto(f"{visit.address}/console#/sign-in")
    visit.page.get_by_label("API token").fill(team.headers["Authorization"].removeprefix("Bearer "))
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(f"**/console#{wanted}")
    visit.page.get_by_role("button", name="Sign out").click()
    sign_in(visit, team, "/sign-in")
    visit.page.wait_for_url("**/console#/assessments")


@pytest.mark.parametrize("address", ["//foreign.example/", "https://foreign.example/", "javascript:alert(1)"])
def test_signing_in_leads_to_no_foreign_page(visit, team, address):
    sign_in(visit, team, f"/sign-in?to={address}")
    visit.page.wait_for_url("**/console#/assessments")


def test_a_page_of_another_origin_can_do_nothing(visit, site, team):
    """The same host on another port is the same site, so that the browser does send the cookie."""
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
              return "refused";
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
    assert result == ["refused"] * 4
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


def test_signing_out_everywhere_ends_the_other_browsers_too(browser, visit, site, team):
    other = Visit(browser.new_context(), visit.address)
    sign_in(other, team)
    sign_in(visit, team)
    visit.page.goto(f"{visit.address}/console#/organization/sign_ins")
    assert visit.shows("2 sign-ins")
    visit.page.get_by_role("button", name="Sign out everywhere").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    visit.page.get_by_label("API token").wait_for()
    other.page.reload()
    other.page.get_by_label("API token").wait_for()
    other.page.context.close()

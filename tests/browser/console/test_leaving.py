"""Leaving a page with pending requests, input or undo does not affect the next page."""

from tests.live.cast import invite

# A link changes the address before the page handles it.
LINK_AND_LOADED = """async () => {
  const {updateUrlQuery} = await import("./console/shared/url_state.js");
  location.hash = "/todo";
  updateUrlQuery("/assessments", {q: "ada"});
}"""


def follow(visit, name):
    visit.page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()


def test_undo_works_after_leaving_the_page(open_console, site, team, assessment):
    (key,) = invite(team, assessment, "alice@example.com")["keys"]
    expiry = "UPDATE candidate_keys SET expires_at = %s WHERE id = %s"
    site.execute(expiry, site.stored_time(seconds_ago=-3600), site.stored_id(key["id"]))
    site.execute("UPDATE deliveries SET state = 'sent' WHERE subject_id = %s", site.stored_id(key["id"]))
    before = team.get(f"/v1/candidates/{key['id']}")["candidate"]["expiresAt"]
    visit = open_console(team, "/todo")
    visit.page.get_by_role("button", name="Extend").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    visit.page.get_by_role("button", name="Undo").wait_for()
    follow(visit, "Assessments")
    visit.settle()
    with visit.page.expect_response("**/extend"):
        visit.page.get_by_role("button", name="Undo").click()
    visit.settle()
    assert visit.page.locator(".toast").all_inner_texts() == []
    assert team.get(f"/v1/candidates/{key['id']}")["candidate"]["expiresAt"] == before
    assert visit.is_clean()


def test_a_pending_search_does_not_change_the_next_pages_address(open_console, team, assessment):
    board = f"/assessments/{assessment['id']}"
    visit = open_console(team, board, before=lambda page: page.clock.install()).settle()
    visit.page.get_by_label("Search").fill("ada")
    follow(visit, "To do")
    visit.page.clock.fast_forward(1_000)
    assert visit.shows("All done")
    assert visit.page.url.endswith("#/todo")
    assert visit.is_clean()


def test_a_loading_page_does_not_undo_a_click_on_a_link(open_console, team):
    visit = open_console(team).settle()
    visit.page.evaluate(LINK_AND_LOADED)
    assert visit.shows("All done")

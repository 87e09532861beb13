"""The console's frame: navigation, and what it says about a missing page."""


def test_the_navigation_names_the_pages_and_the_organization(open_console, team):
    visit = open_console(team)
    assert visit.heading() == "Assessments"
    links = visit.page.locator("nav a").all_inner_texts()
    assert links == ["Assessments", "To do", "Organization"]
    assert visit.shows("Northwind Traders")
    assert visit.is_clean()


def test_an_unknown_address_says_so(open_console, team):
    visit = open_console(team, "/no/such/page")
    assert visit.heading() == "Not found"
    assert visit.is_clean()

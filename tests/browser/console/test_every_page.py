"""Each page in each state: no WCAG 2.2 AA violations, injected scripts, foreign requests or horizontal scrolling.

The texts are `organization.py`'s hostile texts.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.console.conftest import ConsoleVisit
from tests.browser.console.organization import Organization

RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "dark": ["color-contrast"],  # the only rule whose result depends on the scheme
}
# 320 is a window of 1280 pixels at 400 % (WCAG 1.4.10).
WIDTHS = (320, 390, 1280, 2560)
PAGES: dict[str, Callable[[Organization], str]] = {
    "assessments": lambda org: "/assessments",
    "new assessment": lambda org: "/assessments/new",
    "changed assessment": lambda org: f"/assessments/{org.assessment['id']}/edit",
    "task": lambda org: f"/assessments/{org.assessment['id']}/task",
    "compliance": lambda org: f"/assessments/{org.assessment['id']}/compliance",
    "board": lambda org: f"/assessments/{org.assessment['id']}?view=all",
    "all candidates": lambda org: "/candidates?view=all",
    "board without candidates": lambda org: f"/assessments/{org.empty_assessment['id']}",
    "reviewers": lambda org: f"/assessments/{org.assessment['id']}/reviewers",
    "reviewers without scores": lambda org: f"/assessments/{org.empty_assessment['id']}/reviewers",
    "session": lambda org: f"/sessions/{org.sessions['hostile']}",
    "tampered session": lambda org: f"/sessions/{org.sessions['tampered']}",
    "running session": lambda org: f"/sessions/{org.sessions['running']}",
    "score": lambda org: f"/sessions/{org.sessions['hostile']}/score",
    "disputed score": lambda org: f"/sessions/{org.sessions['disputed']}/score",
    "report": lambda org: f"/sessions/{org.sessions['hostile']}/print",
    "report of a decision": lambda org: f"/sessions/{org.sessions['hired']}/print",
    "interview guide": lambda org: f"/sessions/{org.sessions['hostile']}/guide",
    "compare": lambda org: f"/compare/{org.sessions['hostile']}/{org.sessions['disputed']}",
    "to do": lambda org: "/todo",
    "rubrics": lambda org: "/rubrics",
    "new rubric": lambda org: "/rubrics/new",
    "rubric": lambda org: f"/rubrics/{org.assessment['rubricId']}",
    **{
        f"organization: {part}": lambda org, part=part: f"/organization/{part}"
        for part in ("people", "tokens", "webhooks", "candidates", "retention", "audit", "usage")
    },
    "missing": lambda org: "/no/such/page",
}
# Filled in test_integrations.py.
if find_spec("integrations"):
    PAGES["organization: integrations"] = lambda org: "/organization/integrations"
    PAGES["organization: notifications"] = lambda org: "/organization/notifications"
# Filled pages check dark colors, too.
LIGHT = ("light",)
EMPTY = [
    "assessments",
    "new assessment",
    "to do",
    "rubrics",
    *(name for name in PAGES if name.startswith("organization")),
]


def violations(visit: ConsoleVisit, schemes: tuple[str, ...]) -> list[str]:
    """Return the violations that axe reports."""
    messages = []
    for scheme in schemes:
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results = Axe().run(visit.page, options={"runOnly": RULES[scheme], "resultTypes": ["violations"]})
        messages += [
            f"{scheme}: {violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for violation in results.response["violations"]
            for node in violation["nodes"]
        ]
    return messages


def check(visit: ConsoleVisit, schemes: tuple[str, ...] = ("light", "dark")) -> None:
    """Check the rules for all pages in all states."""
    assert violations(visit, schemes) == []
    assert visit.page.locator("h1").count() == 1
    assert visit.page.title().endswith("· Proofstone")
    assert visit.page.evaluate("window.hacked") is None
    assert not [url for url in visit.requests if "hostile.png" in url]
    for width in WIDTHS:
        visit.page.set_viewport_size({"width": width, "height": 900})
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def tabs(visit: ConsoleVisit) -> Iterator[str]:
    """Open each tab, and all sections of the last one."""
    for tab in visit.page.get_by_role("tab").all():
        tab.click()
        visit.settle()
        for section in visit.page.locator(".report-section:visible > summary").all():
            section.click()
        visit.settle()
        yield tab.inner_text()


def intercept(respond: Callable[[Any], None]) -> Callable[[Page], None]:
    """Intercept all API requests except the sign-in's."""

    def before(page: Page) -> None:
        page.route(lambda url: "/v1/" in url and not url.endswith("/v1/sign-in"), respond)

    return before


@pytest.fixture(params=PAGES)
def path(request, hostile) -> str:
    return PAGES[request.param](hostile)


def test_filled_page(open_console, hostile, path):
    visit = open_console(hostile.admin, path).settle()
    check(visit)
    # The scorecard and the session have the same tabs.
    for _ in () if path.endswith("/score") else tabs(visit):
        check(visit)
    assert visit.is_clean()


def test_page_without_permission(open_console, hostile, path):
    visit = open_console(hostile.observer, path).settle()
    assert [message for message in visit.messages if "403" not in message] == []
    check(visit, LIGHT)


def test_loading_page(open_console, hostile, path):
    visit = open_console(hostile.admin, path, before=intercept(lambda route: None))
    visit.page.locator("main h1").wait_for(state="attached")
    check(visit, LIGHT)
    assert visit.is_clean()


def test_failed_page(open_console, hostile, path):
    body = {"error": "Something failed.", "code": "internal"}
    before = intercept(lambda route: route.fulfill(status=500, json=body))
    visit = open_console(hostile.admin, path, before=before).settle()
    check(visit, LIGHT)
    assert [message for message in visit.messages if "500" not in message] == []


@pytest.mark.parametrize("path", ["/assessments", "/sign-in", "/sign-in?error=oidc_denied"])
def test_signed_out_page(open_console, path):
    visit = open_console(None, path)
    visit.page.get_by_role("button", name="Sign in").wait_for()
    check(visit.settle())
    assert visit.is_clean()


@pytest.mark.parametrize("name", EMPTY)
def test_empty_page(open_console, hostile, team, name):
    visit = open_console(team, PAGES[name](hostile)).settle()
    check(visit)
    assert visit.is_clean()

"""Conventions of the console's files."""

import posixpath
import re
from pathlib import Path

import pytest

from blueprints.guides import slug
from console.blueprint import PRELOADED
from rules.integrity.findings import CODES
from rules.plans import QUOTAS, SUBSCRIPTION_STATES
from rules.roles import ROLES
from rules.statistics.fairness import DECISIONS
from schemas import audit, invitations, test_runs
from tests.callers import Caller

CONSOLE = Path(__file__).parent.parent / "console"
SCRIPTS = sorted(CONSOLE.rglob("*.js"))
# Texts are only looked up.
MAX_LINES = {"texts.js": 2500, "plots.js": 400}
DEFAULT_MAX_LINES = 500
# Code that turns text into markup or code, or that violates the content security policy
FORBIDDEN = (
    *(r"\.innerHTML\b", r"\.outerHTML\b", r"\binsertAdjacentHTML\b", r"\bsetHTML\w*", r"\bdocument\.write"),
    *(r"\bDOMParser\b", r"\bcreateContextualFragment\b", r"\bsrcdoc\b", r"\beval\(", r"\bnew Function\b"),
    *(
        r"\bset(?:Timeout|Interval)\(\s*[\"'`]",
        r"[\"{,\s]style:\s*[\"'`]",
        r"setAttribute\(\"(?:style|on\w+)\"",
    ),
    *(r"\bjavascript:", r"\bdebugger\b", r"\bconsole\.(?:log|debug|info)\b", r"\balert\("),
)
# Paths in texts.js, including alternatives: `t(isNew ? "form.create" : "form.edit")`
TEXT_PATH = r"[\"`]([a-z]\w*(?:\.\w+)+)[\"`]"

PLURALS = {"one", "other"}


def code(file: Path) -> str:
    """Return a script without its comments."""
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"(^|\s)//.*$", "", text, flags=re.MULTILINE)


NAMES = {file: file.relative_to(CONSOLE).as_posix() for file in SCRIPTS}
CODE = {NAMES[file]: code(file) for file in SCRIPTS}
# The module and the guide chapter of each entry in PAGES
PAGES = re.findall(
    r"\[\"/[^\"]*\", \"([\w/]+)\", \"([\w-]+)\"\]", CODE["app.js"].partition("const NAVIGATION")[0]
)
# The API's values by the path of their texts
VALUES = {
    "actions.messages.kinds": invitations.KINDS,
    "actions.messages.states": invitations.INVITE_STATES,
    "audit.kinds": audit.ACTORS,
    "decisions.names": DECISIONS,
    "findings": CODES,
    "people.roles": ROLES,
    "runs.outcomes": test_runs.OUTCOMES,
    "tests.states": test_runs.RUN_STATES,
    "usage.plans": QUOTAS,
    "usage.subscriptions": SUBSCRIPTION_STATES,
}
HIRING_TEAMS = CONSOLE.parent / "docs" / "hiring-teams.md"
RECORDING = CONSOLE.parent / "docs" / "recording.md"


def text_paths() -> set[str]:
    """Return every path in texts.js, such as `common.save`."""
    paths, parents = set(), []
    for line in CODE["shared/texts.js"].partition("const texts = {")[2].partition("\n};")[0].splitlines():
        if opening := re.fullmatch(r"\s*\"?([\w-]+)\"?: \{", line):
            parents.append(opening[1])
        elif re.fullmatch(r"\s*\},?", line):
            parents.pop()
        elif field := re.match(r"\s*\"?([\w-]+)\"?:\s*(\{.*\})?", line):
            nested = re.findall(r"\"?([\w-]+)\"?: \"", field[2] or "")
            path = parents if field[1] in PLURALS else [*parents, field[1]]
            paths |= {".".join([*path, name]) for name in nested if name not in PLURALS}
            if not nested or set(nested) & PLURALS:
                paths.add(".".join(path))
    return paths


def test_scripts_do_not_turn_text_into_markup_or_code():
    unsafe = [
        f"{name}: {match[0]}"
        for name, text in CODE.items()
        for pattern in FORBIDDEN
        for match in re.finditer(pattern, text)
    ]
    assert unsafe == [], "Use h() and svg() of console/shared/dom.js, and classes of console.css."


def test_the_page_has_no_inline_script_or_style():
    html = (CONSOLE / "console.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", html)


def test_styles_do_not_load_files():
    for file in CONSOLE.glob("*.css"):
        assert not re.search(r"@import|url\((?!['\"]?data:)", file.read_text(encoding="utf-8")), file.name


def test_files_have_a_description_and_a_maximum_size():
    for file in (*SCRIPTS, *CONSOLE.glob("*.css")):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert re.match(r"(//|/\*) [A-Z].*\.(?: |$)", lines[0]), (
            f"{file}: describe the file on its first line."
        )
        limit = MAX_LINES.get(file.name, DEFAULT_MAX_LINES if file.suffix == ".js" else 1500)
        assert len(lines) <= limit, f"Split {file}."


def test_pages_with_styles_exist():
    (selector,) = re.findall(r"\.page:is\(([^)]*)\)", (CONSOLE / "console.css").read_text(encoding="utf-8"))
    assert set(re.findall(r"\w+", selector)) <= {module.rpartition("/")[2] for module, _ in PAGES}


def test_every_used_text_exists():
    paths = text_paths()
    groups = {path.split(".")[0] for path in paths}
    missing = [
        f"{name}: {path}"
        for name, text in CODE.items()
        for call in re.findall(r"\bt\(\s*([^()]*)", text)
        for path in re.findall(TEXT_PATH, call)
        if path not in paths and path.split(".")[0] in groups
    ]
    unknown = [
        f"{name}: {path}"
        for name, text in CODE.items()
        for path in re.findall(r"\bt\(\s*\"([^\"]*)\"", text)
        if path not in paths
    ]
    assert missing + unknown == [], "Add these to console/shared/texts.js."


def test_every_recorded_event_has_a_name():
    table = RECORDING.read_text(encoding="utf-8").partition("| event | model proxy |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    kinds = {kind for cell in cells for kind in re.findall(r"`(\w+)`", cell)}
    assert "prompt" in kinds
    assert {f"report.kinds.{kind}" for kind in kinds} - text_paths() == set()


def test_every_text_is_used():
    scripts = "\n".join(text for name, text in CODE.items() if name != "shared/texts.js")
    literal = set(re.findall(TEXT_PATH, scripts))
    # `t(`board.status.${candidate.status}`)` uses each text of board.status.
    prefixes = tuple(re.findall(r"`([a-z]\w*\.[\w.]*)\$\{", scripts))
    unused = sorted(
        path for path in text_paths() if path not in literal and not (prefixes and path.startswith(prefixes))
    )
    assert unused == [], "Delete these from console/shared/texts.js."


@pytest.mark.parametrize(("path", "values"), VALUES.items())
def test_every_value_of_the_api_has_a_text(path, values):
    assert {f"{path}.{value}" for value in values} - text_paths() == set()


def test_every_page_links_to_a_chapter_of_the_guide():
    chapters = {chapter for _, chapter in PAGES}
    headings = re.findall(r"^#+ (.+)$", HIRING_TEAMS.read_text(encoding="utf-8"), re.MULTILINE)
    assert chapters - {slug(heading) for heading in headings} == set()


def test_every_page_and_import_has_a_module():
    pages = {module for module, _ in PAGES}
    assert pages
    assert {f"{page}.js" for page in pages} <= CODE.keys(), "Correct PAGES in console/app.js."
    imports = {
        (name, posixpath.normpath(posixpath.join(posixpath.dirname(name), module)))
        for name, text in CODE.items()
        for module in re.findall(r"\"(\.{1,2}/[\w./]+\.js)\"", text)
    }
    assert [(name, module) for name, module in imports if module not in CODE] == []
    lazy = set(re.findall(r"\bload\(\"([\w/]+)\"\)", CODE["app.js"]))
    organization = CODE["organization/organization.js"]
    parts = re.findall(r"\w+", organization.partition("const PARTS = [")[2].partition("]")[0])
    used = {module for _, module in imports} | {f"{page}.js" for page in pages | lazy} | {"app.js"}
    used |= {f"organization/{part}.js" for part in parts}
    assert CODE.keys() - used == set(), "Delete these unused modules."


def test_the_page_preloads_the_imports_of_app_js(app):
    assert sorted(re.findall(r"from \"\./([\w./]+)\"", CODE["app.js"])) == sorted(PRELOADED)
    html = Caller(app).get("/console").text
    assert re.findall(r"modulepreload\" href=\"/console/([\w./]+)\"", html) == list(PRELOADED)


def test_every_file_is_served_with_a_strict_policy(app):
    anonymous = Caller(app)
    for file in [*SCRIPTS, *CONSOLE.glob("*.css")]:
        response = anonymous.get(f"/console/{file.relative_to(CONSOLE).as_posix()}")
        assert (response.status_code, response.get_data()) == (200, file.read_bytes())
        assert "unsafe-inline" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.mimetype == ("text/css" if file.suffix == ".css" else "text/javascript")
    for name in ("blueprint.py", "__init__.py", "console.html", "..%2Fapp.py", "nothing.js"):
        assert anonymous.get(f"/console/{name}").status_code == 404

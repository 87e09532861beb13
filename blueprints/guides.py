"""The pages in `docs/`, rendered as HTML with the same text and links as in the repository."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent.parent / "docs"
# In navigation order. Other pages are served because these link to them.
GUIDES = (
    *("hiring-teams", "glossary", "authentication", "api-basics", "errors", "results"),
    *("webhooks", "statistics", "clients", "deprecation"),
)
PAGES = {file.stem for file in DOCS.glob("*.md")}


class Guide(NamedTuple):
    name: str
    title: str
    html: str


@cache
def guide(name: str) -> Guide:
    """Render a page from PAGES. Headings have the same ids as on GitHub."""
    # Imported here to save memory in processes that never serve a guide.
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((DOCS / f"{name}.md").read_text(encoding="utf-8"))
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", slug(text.content))
        elif opening.type == "table_open":
            opening.attrSet("tabindex", "0")
    return Guide(name, get_title(name), markdown.renderer.render(tokens, markdown.options, {}))


@cache
def get_title(name: str) -> str:
    with (DOCS / f"{name}.md").open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def slug(heading: str) -> str:
    """Return a heading's id."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def navigation() -> list[tuple[str, str]]:
    """Return each guide's name and title."""
    return [(name, get_title(name)) for name in GUIDES]

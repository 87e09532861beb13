"""The pages of `docs/` as HTML: the same text as in the repository, with the same links between them."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent.parent / "docs"
# In the order of the navigation. The other pages are served because these link to them.
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
    """A page of PAGES; headings have the same ids as on GitHub."""
    # Only a process that serves a guide needs the memory.
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((DOCS / f"{name}.md").read_text(encoding="utf-8"))
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", slug(text.content))
        elif opening.type == "table_open":
            opening.attrSet("tabindex", "0")
    return Guide(name, title_of(name), markdown.renderer.render(tokens, markdown.options, {}))


@cache
def title_of(name: str) -> str:
    with (DOCS / f"{name}.md").open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def slug(heading: str) -> str:
    """The id of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def navigation() -> list[tuple[str, str]]:
    """Name and title of each guide."""
    return [(name, title_of(name)) for name in GUIDES]

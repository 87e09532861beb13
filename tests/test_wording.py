"""User-facing text uses consistent terms and plain English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.operations import DOCUMENT

ROOT = Path(__file__).parent.parent
# Banned words and their replacements
WORDS = {
    # One word for one thing
    r"witness\w*": "duplicate",
    r"irregularit\w+|integrity facts?": "finding",
    r"hand(s|ed|ing)?[- ]ins?\b|handed in": "submission, submit",
    r"sittings?": "work period",
    r"by hand|manual lines?": "not recorded",
    r"seal(s|ed)? chain|audit chain": "ledger",
    r"occurrences?": "event",
    r"(?<!team )(?<!hiring )members?": "field",
    r"refus\w+": "reject",
    r"wrong (credential|token|key|password|signature|type|value)s?": "invalid",
    r"mail(s|ed|ing)?": "email",
    r"catalogues?|recognise\w*|colours?|behaviours?|organis\w+|licence": "American spelling",
    # Plain English
    r"somebody|anybody": "a person, a role, or the passive",
    r"whoever|whatever|wherever": "name the role or thing",
    r"meanwhile": "since you loaded it, in between, …",
    r"rests? on": "is based on",
    r"(?<!one )(?<!each )those of": "repeat the noun",
    r"as (it is|they are)(?= *[.,;)]|$)": "unchanged",
    r"anew|in earnest|noughts?|of ours|besides|any ?more(?= *[.,;)]|$)": "modern words",
    r"told|by itself": "the domain verb",
    r"in the middle of the work": "during the session",
    r"Codex'(?!s)": "Codex's",
}
PATTERN = re.compile("|".join(rf"\b(?:{word})(?!\w)" for word in WORDS), re.IGNORECASE)
CLAUSE = re.compile(r"(What|Who|Whose|Where|When|How|Whether|Which|Why) (?![^.]*\?)")

Texts = Iterator[tuple[str, str]]


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def console() -> Texts:
    for name in re.findall(r"\"((?:[^\"\\]|\\.)*)\"", read(ROOT / "console/shared/texts.js")):
        yield "console/shared/texts.js", name


def pages() -> Texts:
    for file in [*sorted((ROOT / "pages").glob("*.html")), ROOT / "console/console.html"]:
        yield file.name, re.sub(r"<[^>]*>|{[{%].*?[%}]}", " ", read(file), flags=re.DOTALL)
    for file in sorted((ROOT / "pages").glob("*.js")):
        for quoted in re.findall(r"\"((?:[^\"\\\n]|\\.)*)\"|`((?:[^`\\]|\\.)*)`", read(file)):
            if " " in (text := "".join(quoted)):
                yield file.name, text
    for text in re.findall(r"\b(?:die|printf) [\"'](.*?)[\"']", read(ROOT / "pages/workspace.sh")):
        yield "workspace.sh", text


def emails() -> Texts:
    for file in sorted((ROOT / "delivery/templates").iterdir()):
        yield file.name, re.sub(r"<[^>]*>|{[{%].*?[%}]}", " ", read(file), flags=re.DOTALL)


def strings(file: str) -> Texts:
    """Yield a module's string literals, except docstrings."""
    tree = ast.parse(read(ROOT / file))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield f"{file}:{node.lineno}", node.value


def errors() -> Texts:
    yield from strings("errors.py")
    yield from strings("proxy/errors.py")
    for folder in ("access", "models", "schemas", "web", "rules", "storage", "git_bundles"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for where, text in strings(file.relative_to(ROOT).as_posix()):
                if re.match(r"[A-Z].* .*\.$", text):
                    yield where, text


def commands() -> Texts:
    """Yield output and help; the docstrings are the commands' help."""
    for node in ast.walk(ast.parse(read(ROOT / "cli.py"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield f"cli.py:{node.lineno}", node.value


def settings() -> Texts:
    for where, text in strings("config.py"):
        if " " in text:
            yield where, text
    for line in read(ROOT / ".env.example").splitlines():
        if line.startswith("#"):
            yield ".env.example", line
    yield "app.json", read(ROOT / "app.json")


def openapi(node: Any = DOCUMENT, path: str = "openapi") -> Texts:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if key in ("summary", "description") and isinstance(value, str):
            yield path, value
        elif isinstance(value, dict | list) and key not in ("example", "examples"):
            yield from openapi(value, f"{path}.{key}")


def guides() -> Texts:
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = re.sub(r"```.*?```|\]\([^)]*\)", " ", read(file), flags=re.DOTALL)
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{file.name}:{number}", line


FUNCTIONS = (console, pages, emails, errors, commands, settings, openapi, guides)
SOURCES = {function.__name__: function for function in FUNCTIONS}


def replacement_for(word: str) -> str:
    return next(term for pattern, term in WORDS.items() if re.fullmatch(pattern, word, re.IGNORECASE))


@pytest.mark.parametrize("source", SOURCES)
def test_text_uses_consistent_terms(source):
    banned = [
        f"{where}: {match[0]!r} -> {replacement_for(match[0])}"
        for where, text in SOURCES[source]()
        for match in PATTERN.finditer(re.sub(r"`[^`]*`", "`", text))
    ]
    assert banned == [], "Use the replacement, or change WORDS if the text means something else."


@pytest.mark.parametrize("source", ["console", "settings", "openapi"])
def test_labels_and_descriptions_do_not_start_with_a_clause(source):
    clauses = [f"{where}: {text[:80]!r}" for where, text in SOURCES[source]() if CLAUSE.match(text)]
    assert clauses == [], 'Start with the noun: "The receiver\'s response", not "What a receiver answered".'

"""How this code is kept, as tests: imports point one way, what is public is described, the documents are true."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from click import Group
from marshmallow import Schema
from playhouse.schema_diff import diff_models

import config
import errors
import models
import schemas.base
from blueprints import openapi

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    file
    for file in ROOT.rglob("*.py")
    if not any(part.startswith(".") or part == "var" for part in file.relative_to(ROOT).parts)
)
SOURCES = [file for file in MODULES if "tests" not in file.relative_to(ROOT).parts]

# From the bottom up: a module may import from its own package and from earlier lines.
LAYERS = (
    ("rules",),
    ("errors",),
    ("config",),
    ("models", "schemas", "storage", "web"),
    ("migrations", "delivery"),
    ("access", "ops"),
    ("blueprints",),
    ("proxy",),
    ("app", "cli", "gunicorn.conf"),
    ("tools",),
)
# `flask demo` runs a tool; imported when the command is called.
EXCEPTIONS = {("cli", "tools")}
SEE_A_REQUEST = {"access", "app", "blueprints", "proxy", "web"}
MAY_USE = {
    "rules": {"cryptography"},
    "schemas": {"marshmallow"},
}


def layer_of(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


def top(file: Path) -> str:
    """The top-level module or package that a file belongs to."""
    first = file.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Every import of a file, wherever it stands: the module, and the names that are taken from it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports by a relative path"
            yield node.module or "", [alias.name for alias in node.names]


def own(name: str) -> bool:
    return any(name in names for names in LAYERS)


# Imports


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file):
    here = top(file)
    assert own(here), f"{here} is in no layer: add it to LAYERS in tests/test_conventions.py"
    for name, _ in imports(file):
        there = name.split(".")[0]
        if own(there) and there != here and (here, there) not in EXCEPTIONS:
            assert layer_of(there) < layer_of(here), (
                f"{file.relative_to(ROOT)} must not import {there}: imports go from later to earlier LAYERS"
            )


@pytest.mark.parametrize("package", MAY_USE)
def test_rules_and_schemas_use_little(package):
    for file in (ROOT / package).glob("*.py"):
        used = {name.split(".")[0] for name, _ in imports(file)}
        assert used <= sys.stdlib_module_names | MAY_USE[package] | {package, "rules"}, file


def test_only_few_see_a_request():
    seeing = {
        top(file)
        for file in SOURCES
        for name, taken in imports(file)
        if name == "flask" and "request" in taken
    }
    assert seeing <= SEE_A_REQUEST


def test_no_module_hides_one_of_the_standard_library():
    assert {top(file) for file in SOURCES} & set(sys.stdlib_module_names) == set()


# Size and shape


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_is_too_long_to_read(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 800


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_module_says_what_it_is(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


# What callers see


def shapes() -> list[type[Schema]]:
    """Every schema class of the package, loaded from all of its modules."""
    for file in (ROOT / "schemas").glob("[!_]*.py"):
        __import__(f"schemas.{file.stem}")

    def below(kind: type) -> Iterator[type]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    found = {shape for shape in below(schemas.base.Schema) if shape.__module__.startswith("schemas")}
    return sorted(found, key=lambda shape: (shape.__module__, shape.__name__))


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: f"{shape.__module__}.{shape.__name__}")
def test_every_shape_and_every_field_is_described(shape):
    assert (shape.__doc__ or "").strip().endswith("."), shape
    for name, field in shape._declared_fields.items():
        description = field.metadata.get("description", "")
        assert description[:1].isupper() or description.startswith("`"), f"{shape.__name__}.{name}"
        assert description.endswith("."), f"{shape.__name__}.{name}"


def test_every_operation_is_described(app_on_database):
    for path, methods in openapi.document_of(app_on_database)["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            assert operation["summary"], (method, path)
            assert operation["tags"], (method, path)
            assert "security" in operation, (method, path)
            for parameter in operation.get("parameters", []):
                is_an_id = parameter.get("schema", {}).get("format") == "uuid"
                assert parameter.get("description") or is_an_id, (path, parameter)


def refusals(kind: type = errors.Refusal) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from refusals(child)


def test_every_refusal_has_a_code_and_a_sentence():
    for refusal in refusals():
        assert re.fullmatch(r"[a-z_]+", refusal.reason), refusal
        assert refusal.sentence.endswith("."), refusal


# Documents


def documents() -> str:
    """The text of the README, of CONTRIBUTING and of docs/."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def anchors(file: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def references() -> Iterator[tuple[Path, Path, str]]:
    """(file, target, anchor) of every link in a document and every document that the code names."""
    for file in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", file.read_text(encoding="utf-8")):
            if "://" not in target:
                yield file, (file.parent / target if target else file), anchor
    for file in MODULES:
        for target, anchor in re.findall(
            r"\b(docs/[\w-]+\.md)(?:#([\w-]+))?", file.read_text(encoding="utf-8")
        ):
            yield file, ROOT / target, anchor


def test_every_reference_to_a_document_leads_somewhere():
    missing = [
        f"{file.relative_to(ROOT)}: {target.name}#{anchor}"
        for file, target, anchor in references()
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert missing == []


def test_every_setting_is_in_the_reference():
    reference = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    missing = [
        setting.name.upper()
        for setting in fields(config.Config)
        if not re.search(
            rf"^\| `{setting.name.upper()}` \| .* \| {re.escape(setting.metadata['sentence'])} \|$",
            reference,
            re.M,
        )
    ]
    assert missing == []


def commands(app) -> Iterator[str]:
    for name in app.cli.list_commands(None):
        command = app.cli.get_command(None, name)
        if isinstance(command, Group):
            yield from (f"{name} {child}" for child in command.commands)
        else:
            yield name


def documented_commands() -> set[str]:
    """The commands that the documents name; `flask org list|show` names two, `make demo` runs one."""
    found = re.findall(r"(?:flask|make) ([a-z]+)(?: ([a-z|]+))?", documents())
    return {f"{group} {child}".strip() for group, children in found for child in children.split("|")} | {
        group for group, _ in found
    }


def test_every_command_is_in_the_documents(app_on_database):
    assert set(commands(app_on_database)) - documented_commands() == set()


def code_in(text: str) -> str:
    """What stands in a document as code: whole blocks, and words within a sentence."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def test_every_command_in_the_documents_exists(app_on_database):
    existing = set(commands(app_on_database))
    for name, child in re.findall(r"\bflask ([a-z]+)(?: ([a-z]+))?", code_in(documents())):
        assert existing & {name, f"{name} {child}"}, f"flask {name} {child}"


@pytest.mark.parametrize("setting", fields(config.Config), ids=lambda setting: setting.name.upper())
def test_every_setting_is_in_the_example_with_its_sentence_and_default(setting):
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert setting.default is not MISSING
    default = "" if setting.default is None else setting.default
    assert f"# {setting.metadata['sentence']}\n{setting.name.upper()}={default}\n" in example


def test_the_example_has_no_setting_that_nobody_reads():
    named = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    ours = {setting.name.upper() for setting in fields(config.Config)}
    assert set(named) - ours - GUNICORNS_OWN == set()


GUNICORNS_OWN = {"PORT", "WEB_CONCURRENCY"}


def test_app_json_names_settings_that_exist():
    manifest = json.loads((ROOT / "app.json").read_text(encoding="utf-8"))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert [name for name in manifest.get("env", {}) if f"\n{name}=" not in example] == []


def test_the_guide_for_contributors_names_every_module():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = {f"{top(file)}/" if file.parent != ROOT else file.name for file in MODULES}
    assert {name for name in names if f"`{name}`" not in guide} == set()


def test_every_make_target_that_the_documents_mention_explains_itself():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    mentioned = set(re.findall(r"`?make ([a-z]+)", documents()))
    assert mentioned <= explained


def security_page() -> str:
    return (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_on_security_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", security_page())
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"\ndef {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_each_of_the_ten_names_what_defends_it_and_a_test():
    parts = re.split(r"\n### (API\d+):2023 .*\n", security_page())[1:]
    assert parts[::2] == [f"API{number}" for number in range(1, 11)]
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        own = re.findall(r"`((?:\w+/)*\w+\.py)`", text)
        assert "::test_" in text, name
        assert [module for module in own if not (ROOT / module).exists()] == [], name


# The database


def test_models_equal_migrations(app):
    assert not diff_models(models.db.obj, models.TABLES)


def test_every_table_of_the_database_is_in_the_list(app):
    stored = set(models.db.get_tables()) - {"migrations"}
    listed = {table._meta.table_name for table in models.TABLES}
    assert listed == stored, "Edit TABLES in models/__init__.py: parents before children."

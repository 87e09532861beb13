"""Conventions: import order, module size, descriptions, and documents and models that match the code."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from click import Group
from playhouse.schema_diff import diff_models

import config
import errors
import models
import schemas.base
from app import API_BLUEPRINTS
from schemas import fields as field_types
from schemas.keys import STATUSES
from schemas.queries import Filter
from schemas.timestamps import EventTime, Timestamp, TimestampInput
from tests.hostile.operations import request_bodies

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    file
    for file in ROOT.rglob("*.py")
    if not any(part.startswith(".") or part == "var" for part in file.relative_to(ROOT).parts)
)
SOURCES = [file for file in MODULES if "tests" not in file.relative_to(ROOT).parts]
# Without the changelog, whose commands and settings may be gone.
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]

# From the bottom up: a module may import from its own package and from earlier lines.
LAYERS = (
    ("rules",),
    ("errors", "git_bundles"),
    ("config",),
    ("models", "schemas", "storage", "web"),
    ("migrations", "delivery"),
    ("access", "ops"),
    ("blueprints",),
    ("console", "oidc", "proxy"),
    ("app", "cli", "gunicorn.conf"),
    ("tools",),
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
# `flask demo` imports a tool when it is called.
EXCEPTIONS = {("cli", "tools")}
MAY_IMPORT_REQUEST = {"access", "app", "blueprints", "oidc", "proxy", "web"}
MAY_USE = {"rules": {"cryptography"}, "schemas": {"marshmallow"}, "git_bundles": {"dulwich"}}
MAX_LINES = 500
# Fields of the API that are older than the rule: other times end in `At`.
OTHER_TIMES = {"ts", "timestamp", "since", "until", "retained_until", "failing_since"}
MAY_IMPORT = "tests/test_conventions.py says what each package may import: move the code, or change the list."


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def top(file: Path) -> str:
    """The top-level module or package of a file."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Every import of a file: the module, and the names imported from it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import: import from the root."
            yield node.module or "", [alias.name for alias in node.names]


def documented(pattern: str) -> list:
    return re.findall(pattern, "\n".join(file.read_text(encoding="utf-8") for file in DOCUMENTS))


def test_imports_go_from_upper_to_lower_layers():
    unknown = {top(file) for file in SOURCES} - LAYER_OF.keys()
    assert not unknown, "Add these packages to LAYERS in tests/test_conventions.py."
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in SOURCES
        for name, _ in imports(file)
        if (there := name.split(".")[0]) in LAYER_OF
        and there != (here := top(file))
        and LAYER_OF[there] >= LAYER_OF[here]
        and (here, there) not in EXCEPTIONS
    ]
    assert wrong == [], f"Imports must go from later to earlier lines of LAYERS. {MAY_IMPORT}"


def test_packages_import_only_what_they_may():
    wrong = []
    for file in SOURCES:
        here = top(file)
        may_use = sys.stdlib_module_names | MAY_USE.get(here, set()) | {here, "rules"}
        for name, imported in imports(file):
            if here in MAY_USE and name.split(".")[0] not in may_use:
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
            if name == "flask" and "request" in imported and here not in MAY_IMPORT_REQUEST:
                wrong.append(f"{file.relative_to(ROOT)} imports the request")
    assert wrong == [], MAY_IMPORT


def imported_modules(file: Path, modules: set[str]) -> set[str]:
    """The project's modules that a file imports, also within functions."""
    found = set()
    for name, members in imports(file):
        submodules = {f"{name}.{field}" for field in members} & modules
        found |= submodules if len(submodules) == len(members) > 0 else submodules | {name}
    return found & modules


def test_modules_do_not_import_each_other():
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in SOURCES}
    modules = {name.removesuffix(".__init__"): file for file, name in names.items()}
    graph = {name: imported_modules(file, set(modules)) for name, file in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"Cut this cycle: {' -> '.join(error.args[1])}")


def test_models_are_imported_at_the_top():
    """An import within a function would hide a cycle."""
    within = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in SOURCES
        if top(file) == "models"
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert within == [], (
        "Move these to the top, and the function above what it needs; "
        "rows that refer to one need no import (`assessment.session_set`)."
    )


def test_modules_have_a_docstring_a_name_of_their_own_and_a_readable_size():
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in MODULES}
    assert [file for file in MODULES if lines[file] > MAX_LINES] == [], "Split these files."
    undescribed = [file for file in SOURCES if not ast.get_docstring(ast.parse(file.read_text("utf-8")))]
    assert undescribed == [], "Start these files with a docstring."
    hidden = {top(file) for file in SOURCES} & set(sys.stdlib_module_names)
    assert not hidden, "Rename these: they hide modules of the standard library."


def subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def shapes() -> list:
    """Every schema class of the API."""
    for file in (ROOT / "schemas").glob("[!_]*.py"):
        __import__(f"schemas.{file.stem}")
    found = [kind for kind in subclasses(schemas.base.Schema) if kind.__module__.startswith("schemas.")]
    assert len(found) > 100
    return found


def test_every_schema_and_field_is_described():
    for schema in shapes():
        name = f"{schema.__module__}.{schema.__name__}"
        assert (schema.__doc__ or "").strip().endswith("."), (
            f"{name}: write a docstring ending with a period."
        )
        for field, field in schema._declared_fields.items():
            description = field.metadata.get("description", "")
            assert re.match(r"[A-Z`].*\.$", description), f"{name}.{field}: describe the field in a sentence."


def test_ids_in_request_bodies_are_references():
    ids = {
        f"{name}.{field.name}"
        for name, body in request_bodies().items()
        for field in body.load_fields.values()
        if type(field) is field_types.Id
    }
    # A reviewer's own score: 409 `score_changed` if it is another one.
    assert ids == {"NewScore.seen_score"}, "Use Reference, and find_referenced() in models/base.py."


def test_fields_of_one_meaning_have_one_name():
    for schema in shapes():
        members = schema._declared_fields
        names_candidate = "Id of the candidate key." in [
            field.metadata["description"] for name, field in members.items() if name != "candidate_id"
        ]
        assert not names_candidate, f"{schema}: call the candidate's id `candidate_id`."
        for name, field in members.items():
            where = f"{schema.__name__}.{name}"
            choices = set(field.validate.choices) if isinstance(field, field_types.Choice) else set()
            if choices and choices <= set(STATUSES):
                assert name == "status", f"{where}: call a candidate's or session's state `status`."
            if choices & {"queued", "canceled"}:
                assert name == "state", f"{where}: call the state of work in progress `state`."
            is_time = isinstance(field, Timestamp | EventTime | TimestampInput)
            if is_time and not issubclass(schema, Filter):
                assert name.endswith("_at") or name in OTHER_TIMES, (
                    f"{where}: let a time's name end in `_at`."
                )


def test_every_error_has_a_code_and_a_sentence():
    for error in subclasses(errors.ApiError):
        assert re.fullmatch(r"[a-z_]+", error.reason), f"{error}: give it a code in errors.py."
        assert error.sentence.endswith("."), f"{error}: give it a sentence in errors.py."


def anchors(file: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub creates them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def references() -> Iterator[tuple[Path, Path, str]]:
    """(file, target, anchor) of every link in a document and every document named in the code."""
    for file in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", file.read_text(encoding="utf-8")):
            if "://" not in target:
                yield file, (file.parent / target if target else file), anchor
    for file in MODULES:
        for target, anchor in re.findall(r"\b((?:\w+/)+[\w-]+\.md)(?:#([\w-]+))?", file.read_text("utf-8")):
            yield file, ROOT / target, anchor


def test_every_link_and_every_document_named_in_the_code_exists():
    missing = [
        f"{file.relative_to(ROOT)}: {target.name}#{anchor}"
        for file, target, anchor in references()
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert missing == [], "Correct these links, or the headings that they name."


def test_settings_are_documented_with_default_and_description():
    example, reference = read(".env.example"), " ".join(read("docs", "settings.md").split())
    for setting in fields(config.Config):
        name, sentence = setting.name.upper(), setting.metadata["sentence"]
        default = "" if setting.default is None else setting.default
        assert f"# {sentence}\n{name}={default}\n" in example, f"Describe {name} in .env.example."
        entry = f"- `{name}` (`{default}`): {sentence}" if default != "" else f"- `{name}`: {sentence}"
        assert f"{entry} " in reference, f"Describe {name} in docs/settings.md."


def test_no_document_names_a_setting_that_does_not_exist():
    named = set(re.findall(r"^([A-Z0-9_]+)=", read(".env.example"), re.MULTILINE))
    settings = {setting.name.upper() for setting in fields(config.Config)}
    assert named - settings <= {"PORT", "WEB_CONCURRENCY"}, "Correct .env.example; gunicorn reads these two."
    assert json.loads(read("app.json"))["env"].keys() <= named, "Correct app.json."


def test_commands_and_documents_agree(app_on_database):
    existing = set()
    for name in app_on_database.cli.list_commands(None):
        command = app_on_database.cli.get_command(None, name)
        existing |= (
            {f"{name} {child}" for child in command.commands} if isinstance(command, Group) else {name}
        )
    # `flask org list|show` names two commands, and `make demo` runs one.
    named = documented(r"(?:flask|make) ([a-z]+)(?: ([a-z|]+))?")
    names = {group for group, _ in named}
    names |= {f"{group} {child}" for group, children in named for child in children.split("|")}
    assert existing <= names, "Add these commands to docs/administration.md."
    code = "\n".join(documented(r"(?s)```.*?```|`[^`\n]+`"))
    for group, child in re.findall(r"\bflask ([a-z]+)(?: ([a-z]+))?", code):
        assert existing & {group, f"{group} {child}"}, (
            f"`flask {group} {child}` is documented; it does not exist."
        )


def test_documented_make_targets_exist_and_have_a_help_text():
    explained = set(re.findall(r"^([a-z]+):.*## ", read("Makefile"), re.MULTILINE))
    assert set(documented(r"`?make ([a-z]+)")) <= explained, (
        "Correct the document, or add `## help` in the Makefile."
    )


def test_the_guide_for_contributors_names_every_package():
    names = {f"{top(file)}/" if file.parent != ROOT else file.name for file in MODULES}
    missing = {name for name in names if f"`{name}`" not in read("CONTRIBUTING.md")}
    assert not missing, "Add these to the layout in CONTRIBUTING.md."


def test_the_security_page_names_code_and_tests_for_each_threat():
    page = read("docs", "security.md")
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page):
        assert f"\ndef {test}(" in read(file), f"{file}::{test} does not exist: correct docs/security.md."
    parts = re.split(r"\n### (API\d+):2023 .*\n", page)[1:]
    assert parts[::2] == [f"API{number}" for number in range(1, 11)], "Add the threat to docs/security.md."
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        assert "::test_" in text, f"Name a test for {name} in docs/security.md."
        missing = [
            module for module in re.findall(r"`((?:\w+/)*\w+\.py)`", text) if not (ROOT / module).exists()
        ]
        assert missing == [], f"Correct the modules of {name} in docs/security.md."


def test_every_resource_is_registered():
    unregistered = {
        f"blueprints.{file.stem}"
        for file in (ROOT / "blueprints").glob("*.py")
        if re.search(r"^blp = Blueprint\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    } - {*API_BLUEPRINTS, "blueprints.docs", "blueprints.metrics"}
    assert unregistered == set(), "Add these to API_BLUEPRINTS in app.py."


def test_models_equal_migrations(app):
    difference = diff_models(models.db.obj, models.TABLES)
    assert not difference, f"Add a migration, or correct the model: {difference}"
    for table in models.TABLES:
        for column in models.db.get_columns(table._meta.table_name):
            nullable = table._meta.columns[column.name].null
            assert nullable is column.null, f"Correct `null` of {table.__name__}.{column.name}."


def test_tables_are_those_of_the_database_parents_before_children(app):
    stored = set(models.db.get_tables()) - {"migrations"}
    assert {table._meta.table_name for table in models.TABLES} == stored, (
        "Import the model in models/__init__.py, or add a migration."
    )
    for position, table in enumerate(models.TABLES):
        parents = {foreign_key.rel_model for foreign_key in table._meta.refs}
        assert parents <= set(models.TABLES[:position])

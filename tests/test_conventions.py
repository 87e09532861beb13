"""Conventions of code and documents."""

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
from tests.hostile.operations import HAS_INTEGRATIONS, request_bodies

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    file
    for file in ROOT.rglob("*.py")
    if not any(part.startswith(".") or part == "var" for part in file.relative_to(ROOT).parts)
    # Problems' code belongs to candidates.
    and not file.is_relative_to(ROOT / "data")
)
SOURCES = [file for file in MODULES if "tests" not in file.relative_to(ROOT).parts]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]

# A module can import from its package and from earlier lines.
LAYERS = (
    ("rules", "runner"),
    ("errors", "git_bundles"),
    ("config", "database_errors"),
    ("models", "schemas", "storage", "web"),
    ("migrations", "delivery"),
    ("access", "ops"),
    ("blueprints",),
    ("console", "integrations", "oidc", "proxy"),
    ("app", "cli", "gunicorn.conf"),
    ("tools",),
)
LAYER_BY_PACKAGE = {name: number for number, names in enumerate(LAYERS) for name in names}
# `flask demo` imports its tool when it runs.
EXCEPTIONS = {("cli", "tools")}
IMPORTS_REQUEST = {"access", "app", "blueprints", "integrations", "oidc", "proxy", "web"}
ALLOWED_LIBRARIES = {
    "rules": {"cryptography", "dulwich"},
    "schemas": {"marshmallow"},
    "git_bundles": {"dulwich"},
    "runner": {"requests"},
}
MAX_LINES = 500
# Exceptions: other times end in `At`.
OTHER_TIMES = {"ts", "timestamp", "since", "until", "retained_until", "failing_since"}
IMPORT_HINT = (
    "tests/test_conventions.py lists each package's allowed imports: move the code, or change the list."
)


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def top(file: Path) -> str:
    """Return a file's top-level module or package."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each imported module with the names imported from it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import: import from the root."
            yield node.module or "", [alias.name for alias in node.names]


def find_in_documents(pattern: str) -> list:
    return re.findall(pattern, "\n".join(file.read_text(encoding="utf-8") for file in DOCUMENTS))


def test_imports_go_from_upper_to_lower_layers():
    unknown = {top(file) for file in SOURCES} - LAYER_BY_PACKAGE.keys()
    assert not unknown, "Add these packages to LAYERS in tests/test_conventions.py."
    upward = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in SOURCES
        for name, _ in imports(file)
        if (imported := name.split(".")[0]) in LAYER_BY_PACKAGE
        and imported != (package := top(file))
        and LAYER_BY_PACKAGE[imported] >= LAYER_BY_PACKAGE[package]
        and (package, imported) not in EXCEPTIONS
    ]
    assert upward == [], f"Import only from earlier lines of LAYERS. {IMPORT_HINT}"


def test_packages_import_only_allowed_libraries():
    forbidden = []
    for file in SOURCES:
        package = top(file)
        allowed = sys.stdlib_module_names | ALLOWED_LIBRARIES.get(package, set()) | {package, "rules"}
        for name, members in imports(file):
            if package in ALLOWED_LIBRARIES and name.split(".")[0] not in allowed:
                forbidden.append(f"{file.relative_to(ROOT)} imports {name}")
            if name == "flask" and "request" in members and package not in IMPORTS_REQUEST:
                forbidden.append(f"{file.relative_to(ROOT)} imports flask.request")
    assert forbidden == [], IMPORT_HINT


def imported_modules(file: Path, modules: set[str]) -> set[str]:
    """Return the project's modules that a file imports, including those imported within functions."""
    result = set()
    for module, names in imports(file):
        submodules = {f"{module}.{name}" for name in names} & modules
        result |= submodules if len(submodules) == len(names) > 0 else submodules | {module}
    return result & modules


def test_there_are_no_import_cycles():
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in SOURCES}
    modules = {name.removesuffix(".__init__"): file for file, name in names.items()}
    graph = {name: imported_modules(file, set(modules)) for name, file in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"Break this import cycle: {' -> '.join(error.args[1])}")


def test_models_have_no_nested_imports():
    """An import within a function could hide a cycle."""
    nested = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in SOURCES
        if top(file) == "models"
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert nested == [], (
        "Move these to the top, and code that would import upward to the higher module. "
        "Back references need no import (`assessment.session_set`)."
    )


def test_modules_have_a_docstring_a_unique_name_and_at_most_500_lines():
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in MODULES}
    assert [file for file in MODULES if lines[file] > MAX_LINES] == [], "Split these files."
    without_docstring = [
        file for file in SOURCES if not ast.get_docstring(ast.parse(file.read_text("utf-8")))
    ]
    assert without_docstring == [], "Start these files with a docstring."
    shadowing = {top(file) for file in SOURCES} & set(sys.stdlib_module_names)
    assert not shadowing, "Rename these: they shadow modules of the standard library."


def subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def all_schemas() -> list:
    for file in [*(ROOT / "schemas").glob("[!_]*.py"), *(ROOT / "integrations").glob("*schemas.py")]:
        __import__(f"{file.parent.name}.{file.stem}")
    packages = ("schemas.", "integrations.")
    kinds = [kind for kind in subclasses(schemas.base.Schema) if kind.__module__.startswith(packages)]
    assert len(kinds) > 100
    return kinds


def test_every_schema_and_field_is_described():
    for schema in all_schemas():
        path = f"{schema.__module__}.{schema.__name__}"
        assert (schema.__doc__ or "").strip().endswith("."), f"{path}: end the docstring with a period."
        for name, field in schema._declared_fields.items():
            description = field.metadata.get("description", "")
            assert re.match(r"[A-Z`].*\.$", description), f"{path}.{name}: describe the field in a sentence."


def test_ids_in_request_bodies_are_references():
    ids = {
        f"{name}.{field.name}"
        for name, body in request_bodies().items()
        for field in body.load_fields.values()
        if type(field) is field_types.Id
    }
    # Compared only (`score_changed`, `rubric_changed`).
    seen = {"NewScore.seen_score", "NewScore.seen_rubric", "NewScores.seen_rubric"}
    assert ids == seen, "Use Reference, and find_referenced() in models/base.py."


def test_fields_with_the_same_meaning_share_a_name():
    for schema in all_schemas():
        for name, field in schema._declared_fields.items():
            where = f"{schema.__name__}.{name}"
            if field.metadata["description"] == "Id of the candidate key.":
                assert name == "candidate_id", f"{where}: call the candidate's id `candidate_id`."
            choices = set(field.validate.choices) if isinstance(field, field_types.Choice) else set()
            if choices and choices <= set(STATUSES):
                assert name == "status", f"{where}: call a candidate's or session's state `status`."
            if choices & {"queued", "canceled"}:
                assert name == "state", f"{where}: call the state of work in progress `state`."
            is_time = isinstance(field, Timestamp | EventTime | TimestampInput)
            if is_time and not issubclass(schema, Filter):
                assert name.endswith("_at") or name in OTHER_TIMES, f"{where}: end a time's name in `_at`."


def test_every_error_has_a_code_and_a_message():
    for error in subclasses(errors.ApiError):
        assert re.fullmatch(r"[a-z_]+", error.reason), f"{error}: give it a code in errors.py."
        assert error.message.endswith("."), f"{error}: end its message with a period in errors.py."


def anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub creates for a document's headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def references() -> Iterator[tuple[Path, Path, str]]:
    """Yield (file, target, anchor) for each link in a document and each document mentioned in code."""
    for file in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", file.read_text(encoding="utf-8")):
            if "://" not in target:
                yield file, (file.parent / target if target else file), anchor
    for file in MODULES:
        for target, anchor in re.findall(r"\b((?:\w+/)+[\w-]+\.md)(?:#([\w-]+))?", file.read_text("utf-8")):
            yield file, ROOT / target, anchor


def test_links_and_documents_mentioned_in_code_exist():
    missing = [
        f"{file.relative_to(ROOT)}: {target.name}#{anchor}"
        for file, target, anchor in references()
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert missing == [], "Correct these links, or the headings that they link to."


def test_settings_are_documented_with_default_and_description():
    example, reference = read(".env.example"), " ".join(read("docs", "settings.md").split())
    for setting in fields(config.Config):
        name, description = setting.name.upper(), setting.metadata["description"]
        default = "" if setting.default is None else setting.default
        assert f"# {description}\n{name}={default}\n" in example, f"Describe {name} in .env.example."
        entry = f"- `{name}` (`{default}`): {description}" if default != "" else f"- `{name}`: {description}"
        assert f"{entry} " in reference, f"Describe {name} in docs/settings.md."


def test_documents_mention_only_existing_settings():
    names = set(re.findall(r"^([A-Z0-9_]+)=", read(".env.example"), re.MULTILINE))
    settings = {setting.name.upper() for setting in fields(config.Config)}
    assert names - settings <= {"PORT", "WEB_CONCURRENCY"}, "Correct .env.example; gunicorn reads these two."
    variables = json.loads(read("app.json"))["env"]
    assert variables.keys() <= names, "Correct app.json."
    required = [name for name, entry in variables.items() if entry.get("required", True)]
    unset = [name for name in required if not {"value", "generator"} & variables[name].keys()]
    assert unset == [], (
        "Set required to false in app.json: the specification's operations need none of these."
    )


def test_documented_commands_exist_and_are_complete(app_on_database):
    existing = set()
    for name in app_on_database.cli.list_commands(None):
        command = app_on_database.cli.get_command(None, name)
        subcommands = command.commands if isinstance(command, Group) else ()
        existing |= {f"{name} {child}" for child in subcommands} or {name}
    # `flask org list|show` names two commands. `make demo` names `flask demo`.
    commands = find_in_documents(r"(?:flask|make) ([a-z]+)(?: ([a-z|]+))?")
    names = {group for group, _ in commands}
    names |= {f"{group} {child}" for group, subcommands in commands for child in subcommands.split("|")}
    assert existing <= names, "Add these commands to docs/administration.md."
    code = "\n".join(find_in_documents(r"(?s)```.*?```|`[^`\n]+`"))
    for group, child in re.findall(r"\bflask ([a-z]+)(?: ([a-z]+))?", code):
        if group == "integrations" and not HAS_INTEGRATIONS:
            continue
        assert existing & {group, f"{group} {child}"}, f"Documented but missing: `flask {group} {child}`."


def test_documented_make_targets_exist_and_have_help():
    targets = set(re.findall(r"^([a-z]+):.*## ", read("Makefile"), re.MULTILINE))
    assert set(find_in_documents(r"`?make ([a-z]+)")) <= targets, (
        "Correct the document, or add `## help` in the Makefile."
    )


def test_contributing_lists_every_package():
    names = {f"{top(file)}/" if file.parent != ROOT else file.name for file in MODULES}
    missing = {name for name in names if f"`{name}`" not in read("CONTRIBUTING.md")}
    assert not missing, "Add these to the layout in CONTRIBUTING.md."


def test_the_release_has_one_version():
    (latest, *_) = re.findall(r"^## (\d+\.\d+\.\d+)", read("CHANGELOG.md"), re.MULTILINE)
    (in_setup,) = re.findall(r"^version = (.*)$", read("setup.cfg"), re.MULTILINE)
    assert latest == in_setup == config.VERSION, "Set the version in config.py, setup.cfg and CHANGELOG.md."


def test_the_security_page_lists_code_and_tests_for_each_threat():
    page = read("docs", "security.md")
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page):
        assert f"\ndef {test}(" in read(file), f"{file}::{test} does not exist: correct docs/security.md."
    parts = re.split(r"\n### (API\d+):2023 .*\n", page)[1:]
    assert parts[::2] == [f"API{number}" for number in range(1, 11)], "Add the threat to docs/security.md."
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        assert "::test_" in text, f"Name a test for {name} in docs/security.md."
        modules = re.findall(r"`((?:\w+/)*\w+\.py)`", text)
        missing = [module for module in modules if not (ROOT / module).exists()]
        assert missing == [], f"Correct the modules of {name} in docs/security.md."


def test_blueprints_are_registered():
    files = [
        file
        for file in SOURCES
        if top(file) == "blueprints" and "\nblp = Blueprint(" in file.read_text("utf-8")
    ]
    registered = {*API_BLUEPRINTS, "blueprints.docs", "blueprints.tasks.git", "blueprints.metrics"}
    assert {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files} <= registered, (
        "Add these to API_BLUEPRINTS in app.py."
    )


def test_models_match_migrations(app):
    difference = diff_models(models.db.obj, models.tables())
    # Only migrations declare indexes that make reads faster.
    undeclared = [index for index in difference.drop_indexes if index.unique]
    difference = difference._replace(drop_indexes=undeclared)
    assert not difference, f"Add a migration, or correct the model: {difference}"
    for table in models.tables():
        for column in models.db.get_columns(table._meta.table_name):
            nullable = table._meta.columns[column.name].null
            assert nullable is column.null, f"Correct `null` of {table.__name__}.{column.name}."


def test_tables_match_the_database_in_dependency_order(app):
    stored = set(models.db.get_tables()) - {"migrations", "upgrade_lease"}
    if not HAS_INTEGRATIONS:
        stored = {name for name in stored if not name.startswith(("integration", "notification"))}
    assert {table._meta.table_name for table in models.tables()} == stored, (
        "Import the model in models/__init__.py, or add a migration."
    )
    for position, table in enumerate(models.tables()):
        parents = {foreign_key.rel_model for foreign_key in table._meta.refs}
        assert parents <= set(models.tables()[:position]), f"Import {table.__name__} after its parents."

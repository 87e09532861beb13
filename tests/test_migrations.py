"""Migrations follow the rules in CONTRIBUTING.md, so that older processes and their requests continue."""

import ast
import re

import pytest

from migrations import FOLDER
from tests.live.test_upgrade import NEXT_RELEASE

# The first migration creates all tables.
MIGRATIONS = [*sorted(FOLDER.glob("[0-9]*.py"))[1:], *sorted(NEXT_RELEASE.glob("[0-9]*.py"))]
RULES = {
    r"SET NOT NULL": "Use `add_constraint` with CHECK (... IS NOT NULL): this reads the table under a lock.",
    r"ALTER COLUMN \w+ (SET DATA )?TYPE": "Add a column instead: this rewrites the table under a lock.",
    r"DEFAULT \w+\(": "Use a constant default: this rewrites the table under a lock.",
    r"ADD COLUMN (?![^,]* DEFAULT )[^,]* NOT NULL": "Allow null or add a default: older processes omit the column.",
    r"ADD COLUMN [^,]*\b(CHECK|UNIQUE)|ADD (CONSTRAINT|CHECK|UNIQUE|FOREIGN)": (
        "Use `add_constraint` or `create_index`: this reads the table under a lock."
    ),
    r"\b(UPDATE|DELETE FROM|INSERT INTO|TRUNCATE)\b": "Move rows in batches, in a task of the worker.",
}
BREAKS_OLDER_PROCESSES = r"DROP (TABLE|COLUMN)|\bRENAME\b"


def violations(source):
    """Yield the rules that a migration breaks."""
    module = ast.parse(source)
    nodes = [node for statement in module.body[1:] for node in ast.walk(statement)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    functions = {call.func.id for call in calls}
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    statements = [" ".join(statement.split()) for text in texts for statement in text.split(";")]
    variables = {node.id for node in nodes if isinstance(node, ast.Name)}

    def find(pattern):
        matches = (re.search(pattern, statement, re.IGNORECASE) for statement in statements)
        return [match for match in matches if match]

    yield from (advice for pattern, advice in RULES.items() if find(pattern))
    if find(BREAKS_OLDER_PROCESSES) and "oldest_version" not in variables:
        yield "Do this one release later than the code stops using it, and set `oldest_version` to that release."
    created = {match[1] for match in find(r"CREATE TABLE (\w+)")}
    altered = {match[1] for match in find(r"ALTER TABLE (\w+)")}
    altered |= {call.args[0].value for call in calls if call.func.id.endswith("_constraint")}
    if len(altered - created) > 1:
        yield "Change each table in a migration of its own: two locks can deadlock with a request."
    if {match[1] for match in find(r"CREATE (?:UNIQUE )?INDEX \w+ ON (\w+)")} - created:
        yield "Use `create_index`: this blocks writes."
    if ("create_index" in functions) != ("atomic" in variables) or {"create_index", "execute"} <= functions:
        yield "Use `create_index` in a migration of its own, with `atomic = False`."
    if {"add_constraint", "validate_constraint"} <= functions:
        yield "Validate the constraint in a later migration: this reads the table under the first one's lock."


@pytest.mark.parametrize("file", MIGRATIONS, ids=lambda file: file.stem)
def test_migrations_follow_the_rules(file):
    assert list(violations(file.read_text(encoding="utf-8"))) == []


GOOD = [
    'execute("ALTER TABLE users ADD COLUMN seen_at {timestamp}, ADD COLUMN visits BIGINT NOT NULL DEFAULT 0")',
    'execute("ALTER TABLE users ADD COLUMN rubric_id {uuid} REFERENCES rubrics (id)")',
    'execute("ALTER TABLE users ALTER COLUMN email DROP NOT NULL")',
    'execute("CREATE TABLE visits (id {uuid} NOT NULL PRIMARY KEY); CREATE INDEX visits_id ON visits (id)")',
    'execute("ALTER TABLE users DROP COLUMN email")\noldest_version = "1.1.0"',
    'create_index("users_email", "users (email)", unique=True)\natomic = False',
    'add_constraint("users", "users_email", "CHECK (email IS NOT NULL)")',
    'validate_constraint("users", "users_email")',
]
BAD = {
    'execute("ALTER TABLE users DROP COLUMN email")': "Do this one release later",
    'execute("drop table users")': "Do this one release later",
    'execute("ALTER TABLE users RENAME email TO address")': "Do this one release later",
    'execute("ALTER TABLE users ALTER COLUMN email SET NOT NULL")': "Use `add_constraint`",
    'execute("ALTER TABLE users ALTER COLUMN visits TYPE BIGINT")': "Add a column instead",
    'execute("ALTER TABLE users ADD COLUMN token {uuid} DEFAULT gen_random_uuid()")': "Use a constant default",
    'execute("ALTER TABLE users ADD COLUMN\\n email TEXT NOT NULL")': "Allow null or add a default",
    "execute(\"ALTER TABLE users ADD COLUMN email TEXT CHECK (email <> '')\")": "Use `add_constraint`",
    'execute("ALTER TABLE users ADD UNIQUE (email)")': "Use `add_constraint`",
    'execute("UPDATE users SET visits = 0")': "Move rows in batches",
    'execute("ALTER TABLE a ADD COLUMN x TEXT;\\nALTER TABLE b ADD COLUMN x TEXT")': "Change each table",
    'add_constraint("a", "a_x", "...")\nadd_constraint("b", "b_x", "...")': "Change each table",
    'execute("CREATE UNIQUE INDEX users_email ON users (email)")': "Use `create_index`: this blocks",
    'create_index("users_email", "users (email)")': "Use `create_index` in a migration of its own",
    'execute("...")\natomic = False': "Use `create_index` in a migration of its own",
    'create_index("a", "b (c)")\nexecute("...")\natomic = False': "Use `create_index` in a migration of its own",
    'add_constraint("a", "a_x", "...")\nvalidate_constraint("a", "a_x")': "Validate the constraint in a later",
}


@pytest.mark.parametrize("statement", GOOD)
def test_safe_statements_break_no_rule(statement):
    assert list(violations(f'"""A migration."""\n{statement}')) == []


@pytest.mark.parametrize(("statement", "advice"), BAD.items())
def test_unsafe_statements_break_one_rule(statement, advice):
    (broken,) = violations(f'"""A migration."""\n{statement}')
    assert broken.startswith(advice)

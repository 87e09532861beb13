"""The tests that `make quick` selects for a changed file."""

import pytest

from tools.scripts.changed_tests import find_tests


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("models/rubrics.py", {"tests/blueprints/test_rubrics.py", "tests/access/test_access.py"}),
        ("schemas/fields.py", {"tests/schemas/test_fields.py", "tests/hostile/test_tenant_isolation.py"}),
        ("rules/plans.py", {"tests/rules/test_plans.py"}),
        ("tests/web/test_cors.py", {"tests/web/test_cors.py"}),
        ("console/shared/app.js", {"tests/test_console_files.py"}),
        ("docs/errors.md", {"tests/blueprints/test_docs.py"}),
    ],
)
def test_tests_are_selected_by_name_and_import(path, tests):
    assert find_tests([path]) >= tests


def test_other_files_select_no_tests():
    assert find_tests(["LICENSE", "tests/factories.py"]) == set()

"""Print the quick tests of the files that differ from the last commit, for `make quick`.

A module's tests are named after it, such as `tests/blueprints/test_rubrics.py` for `rubrics.py` in `blueprints/`,
`models/` and `schemas/`, or import it. API changes also run the tests that call every operation.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
API = ("access/", "blueprints/", "models/", "proxy/", "schemas/")
EVERY_OPERATION = ("tests/access/test_access.py", "tests/hostile/test_tenant_isolation.py")
TESTS_BY_PATH_PREFIX = {
    "console/": "tests/test_console_files.py",
    "data/problems/": "tests/data/test_problems.py",
    "docs/": "tests/blueprints/test_docs.py",
    "README.md": "tests/test_readme.py",
    "migrations/": "tests/test_migrations.py",
}


def find_tests(changed: Iterable[str]) -> set[str]:
    """Return the paths of test modules for the changed files."""
    modules = {str(file.relative_to(ROOT)): file for file in (ROOT / "tests").rglob("test_*.py")}
    return {name for path in changed for name in _find_tests_for(path, modules)} & modules.keys()


def _find_tests_for(path: str, modules: dict[str, Path]) -> Iterator[str]:
    yield path
    yield from (test for prefix, test in TESTS_BY_PATH_PREFIX.items() if path.startswith(prefix))
    if path.startswith(API):
        yield from EVERY_OPERATION
    if not path.endswith(".py") or path.startswith("tests/"):
        return
    package, _, stem = path.removesuffix(".py").removesuffix("/__init__").rpartition("/")
    import_pattern = re.compile(
        rf"^(from {package.replace('/', '.')}(\.{stem}\b| import .*\b{stem}\b))", re.MULTILINE
    )
    for name, file in modules.items():
        if file.name == f"test_{stem}.py" or (
            package and import_pattern.search(file.read_text(encoding="utf-8"))
        ):
            yield name


def changed_files() -> list[str]:
    """Return the files that differ from the last commit, including new ones."""
    files = []
    for command in (["diff", "--name-only", "HEAD"], ["ls-files", "--others", "--exclude-standard"]):
        files += subprocess.check_output(["git", *command], cwd=ROOT, text=True).splitlines()
    return files


if __name__ == "__main__":
    print(*sorted(find_tests(changed_files())))

"""Demo content: tasks with their steps, candidates, and reviews."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
PROBLEMS = Path(__file__).parents[3] / "data" / "problems"
NAMES = ("bookings", "prices", "totals")


@dataclass(frozen=True)
class Task:
    """A task.

    files -- the code that candidates start with, by path
    """

    name: str
    fields: dict[str, Any]
    files: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def load(name: str) -> Task:
    """Read a task. Most have a problem of the library, with a repository and a reference solution."""
    fields = read(f"{name}.yaml")
    if "problem" not in fields:
        return Task(name, fields, {})
    folder = PROBLEMS / fields["problem"]
    reference = _read_files(folder / "reference")
    for step in fields["steps"]:
        for edit in step.get("edits", []):
            edit.setdefault("new", reference.get(edit["path"]))
    return Task(name, fields | read(folder / "problem.yaml"), _read_files(folder / "repository"))


def read(file: str | Path) -> Any:
    return yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))


def _read_files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }

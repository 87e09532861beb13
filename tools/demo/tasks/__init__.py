"""Demo content: tasks with their steps, candidates, and reviews."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
NAMES = ("retries", "search", "totals")


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
    fields = read(f"{name}.yaml")
    files = fields["files"] if "files" in fields else read(fields["repository"])["files"]
    return Task(name, fields, files)


def read(file: str) -> Any:
    return yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))

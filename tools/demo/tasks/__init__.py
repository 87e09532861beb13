"""The demo's texts: the tasks with the steps of the work, who the candidates are, and what reviewers say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
NAMES = ("retries", "search", "totals")


@dataclass(frozen=True)
class Task:
    """A task; `members` are those of the file, `files` the code to start from by path."""

    name: str
    members: dict[str, Any]
    files: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.members[name]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.members["steps"]


def load(name: str) -> Task:
    members = read(f"{name}.yaml")
    files = members["files"] if "files" in members else read(members["repository"])["files"]
    return Task(name, members, files)


def read(file: str) -> Any:
    return yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))

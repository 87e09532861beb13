"""The problems that the service ships, in `data/problems/`: text, repository, hidden tests, reference solution."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import marshmallow
import yaml

from models.assessments import ShippedProblem
from models.base import new_id
from models.orgs import Organization
from models.tasks.files import KINDS
from ops import OperationError, task_files
from rules.archives import TAR, ArchiveFile, write_tar
from schemas import issues
from storage import Storage

PROBLEMS = Path(__file__).parent.parent / "data" / "problems"


def load(schema: marshmallow.Schema, file: Path) -> dict[str, Any]:
    """Load a YAML or JSON file. Raises OperationError."""
    try:
        return schema.load(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OperationError(f"{file} is not valid YAML or JSON: {error}") from None
    except marshmallow.ValidationError as error:
        raise OperationError(f"{file} is not valid: {json.dumps(error.messages)}") from None


def read(folder: Path | None = None) -> list[tuple[Path, dict[str, Any]]]:
    """Return the folder of each problem in PROBLEMS or another folder, and its `problem.yaml`."""
    files = sorted((folder or PROBLEMS).glob("*/problem.yaml"))
    return [(file.parent, load(issues.ShippedProblem(), file)) for file in files]


def prepare(organization: Organization, issue_id: Any, store: Callable[[], Storage]) -> ShippedProblem | None:
    """Store a problem's files for a new assessment; return None for other issues."""
    for folder, problem in read():
        if problem["id"] == issue_id:
            owner_id = new_id()
            new = [_prepare(organization, owner_id, kind, folder / kind, store()) for kind in KINDS]
            return ShippedProblem(new, problem["rubric"], problem["time_limit_minutes"])
    return None


def _prepare(organization: Organization, owner_id: Any, kind: str, folder: Path, storage: Storage) -> Any:
    with TemporaryFile() as archive:
        write_tar(_read_folder(folder), archive)
        archive.seek(0)
        return task_files.prepare(organization, owner_id, kind, TAR, archive, storage)


def _read_folder(folder: Path) -> Iterator[ArchiveFile]:
    for file in folder.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            is_executable = bool(file.stat().st_mode & 0o100)
            yield ArchiveFile(file.relative_to(folder).as_posix(), is_executable, file.read_bytes())

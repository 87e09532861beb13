"""Files of tasks: a repository, hidden tests with `tests.json`, and a reference solution."""

from typing import Any

import marshmallow as ma
from marshmallow.validate import Equal

from rules.archives import MAX_PATH_BYTES, UnreadableArchive, check_path
from schemas.base import Body, Schema, define_response
from schemas.common import EXAMPLE_SHA
from schemas.fields import Choice, Flag, Id, Integer, Line, ListOf, Nested, Pattern, String, Text, Verbatim
from schemas.timestamps import Timestamp

EXAMPLE_COMMAND = 'python3 -m pytest -q --junitxml="$REPORT" .'
FRAMEWORKS = ("pytest", "node")
IMAGE = ("[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", "Must be the name of a container image.")
OPTIONAL: dict[str, Any] = {"null": True, "load_default": None}
NO_SERVE = "Not allowed with `serve`."


class Path(Line):
    """A relative path. Normalized, so that the folder itself is `.`."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(MAX_PATH_BYTES, *args, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return check_path(text) or "."
        except UnreadableArchive as error:
            raise ma.ValidationError(str(error)) from None


class Setting(Body):
    """Base of the objects in `tests.json`: unknown fields are rejected."""

    class Meta(Body.Meta):
        unknown = ma.RAISE

    error_messages = {"unknown": "Unknown field."}


class TestLimits(Setting):
    """Limits of a test run."""

    __test__ = False  # not a class of tests

    seconds = Integer("Seconds for the tests.", min=1, max=1800, load_default=120, example=120)
    setup_seconds = Integer("Seconds for the setup.", min=1, max=1800, load_default=120, example=120)
    memory_mb = Integer("Memory in MiB.", min=16, max=16_384, load_default=512, example=512)
    processes = Integer("Processes and threads.", min=1, max=4096, load_default=64, example=64)
    disk_mb = Integer("Disk space in MiB.", min=1, max=16_384, load_default=256, example=256)
    cpus = Integer("Processors.", min=1, max=64, load_default=1, example=1)


class HiddenFiles(Setting):
    """Hidden files that are copied over the submission."""

    from_ = Path("Folder or file in the archive.", data_key="from", required=True, example="tests")
    to = Path("Path in the submission.", required=True, example="tests")


class TestSettings(Setting):
    """The settings of hidden tests: `tests.json` in the root of their archive (docs/tasks.md)."""

    __test__ = False

    version = Integer("Format version.", validate=Equal(1, error="Must be 1."), required=True, example=1)
    command = Text(4000, "Shell command that runs the tests.", required=True, example=EXAMPLE_COMMAND)
    serve = Text(
        4000,
        "Shell command that starts the submission in its own sandbox.",
        example="python3 app.py",
        **OPTIONAL,
    )
    setup = Text(
        4000, "Shell command that prepares the submission without hidden files.", example="npm ci", **OPTIONAL
    )
    setup_network = Flag("True if the setup has network access.", load_default=False, example=False)
    files = ListOf(
        HiddenFiles, f"Files to copy over the submission, by default all. {NO_SERVE}", max=100, example=[]
    )
    framework = Choice(FRAMEWORKS, f"Test tool whose configuration is replaced. {NO_SERVE}", **OPTIONAL)
    report = Path(f"JUnit XML below `/work`; null for `$REPORT`. {NO_SERVE}", **OPTIONAL)
    image = Pattern(*IMAGE, "Container image.", example="python:3.12", **OPTIONAL)
    limits = Nested(TestLimits, "Limits.", load_default=lambda: TestLimits().load({}))

    @ma.validates_schema
    def check_kind(self, data: dict, **kwargs: Any) -> None:
        """In-process settings have no meaning if the submission runs in a sandbox of its own."""
        names = [name for name in ("files", "framework", "report") if data.get("serve") and data.get(name)]
        if names:
            raise ma.ValidationError({name: [NO_SERVE] for name in names})

    @ma.post_load
    def add_files(self, data: dict, **kwargs: Any) -> dict:
        default = [] if data["serve"] else [{"from_": ".", "to": "."}]
        return {"files": default} | data


class TaskFile(Schema):
    """A stored file of a task."""

    id = Id("Unique id of this version.")
    size = Integer("Size of the stored file in bytes.", example=20480)
    sha256 = String("SHA-256 of the stored file. Equal files have the same.", example="e3b0c442" * 8)
    created_at = Timestamp("Time of the upload.")


class TaskRepository(TaskFile):
    """A hosted repository."""

    commit_id = String("Id of its only commit.", example=EXAMPLE_SHA)


class TaskTests(TaskFile):
    """Hidden tests."""

    file_count = Integer("Number of files.", example=3)
    settings = Verbatim(TestSettings, "Their `tests.json`, with defaults.")


class TaskReference(TaskFile):
    """A reference solution."""

    file_count = Integer("Number of files that it adds or changes.", example=3)


TaskRepositoryResponse = define_response("repository", TaskRepository, "The repository.")
TaskTestsResponse = define_response("tests", TaskTests, "The tests.")
TaskReferenceResponse = define_response("reference", TaskReference, "The solution.")

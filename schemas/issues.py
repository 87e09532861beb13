"""The problem library."""

from schemas import common
from schemas.base import Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.common import EXAMPLE_BRIEF, EXAMPLE_REPOSITORY, EXAMPLE_SHA
from schemas.fields import (
    Choice,
    Flag,
    Id,
    Integer,
    Line,
    LineList,
    ListOf,
    Nested,
    Pattern,
    RepositoryUrl,
    String,
    Text,
)
from schemas.queries import PageQuery
from schemas.rubrics import NewRubric
from schemas.task_files import TaskRepository
from schemas.timestamps import Timestamp

DIFFICULTIES = ("easy", "medium", "hard")
SHA = ("[0-9a-f]{40}", "Must be a full commit id: 40 lowercase hexadecimal digits.")
EXAMPLE_TITLE = "Orders are lost under load"
EXAMPLE_SUMMARY = "Two orders that arrive at the same time overwrite each other."
EXAMPLE_SOURCES = ["https://github.com/example/orders/issues/12"]


class Issue(Schema):  # R3
    """An issue in the problem library. Fields that reveal the solution are null for candidates."""

    id = Id("Unique id.")
    title = String("Title.", example=EXAMPLE_TITLE)
    repo_url = common.REPO_URL
    repo_commit = common.REPO_COMMIT
    repo_subdir = common.REPO_SUBDIR
    description = String("Summary for reviewers.", example=EXAMPLE_SUMMARY, null=True)
    difficulty = Choice(DIFFICULTIES, "Difficulty.", example="medium", null=True)
    language = String("Programming language.", example="Go", null=True)
    labels = ListOf(String(), "Labels.", example=["concurrency"])
    task_brief = common.TASK_BRIEF
    setup_instructions = common.SETUP_INSTRUCTIONS
    test_command = String("Test command.", example="go test ./...", null=True)
    reference_sha = String("Solution commit.", example=EXAMPLE_SHA, null=True)
    sources = ListOf(String(), "Sources.", example=EXAMPLE_SOURCES, null=True)
    license = String("Repository license.", example="MIT", null=True)
    is_catalog = Flag(
        "True if the issue is in the catalog, which all organizations share.", example=False, dump_only=True
    )
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")
    repository = Nested(
        TaskRepository, "Hosted repository; `repoUrl` is null. Not for candidates.", null=True, optional=True
    )


class NewIssue(Body):
    """A new issue."""

    title = Text(255, "Title.", example=EXAMPLE_TITLE, required=True)
    task_brief = Text(50_000, "Task description for the candidate.", example=EXAMPLE_BRIEF, required=True)
    repo_url = RepositoryUrl("Repository URL.", example=EXAMPLE_REPOSITORY, null=True)
    repo_commit = Pattern(*SHA, "Commit to start from.", example=EXAMPLE_SHA, null=True)
    repo_subdir = Line(1024, "Directory to work in.", example="services/orders", null=True)
    description = Text(10_000, "Summary for reviewers.", example=EXAMPLE_SUMMARY, null=True)
    difficulty = Choice(DIFFICULTIES, "Difficulty.", example="medium", null=True)
    language = Line(100, "Programming language.", example="Go", null=True)
    labels = LineList(100, "Labels.", example=["concurrency"])
    setup_instructions = Text(10_000, "Setup instructions.", example="go mod download", null=True)
    test_command = Text(1000, "Test command.", example="go test ./...", null=True)
    reference_sha = Pattern(*SHA, "Solution commit.", example=EXAMPLE_SHA, null=True)
    sources = LineList(2048, "Sources.", example=EXAMPLE_SOURCES)
    license = Line(100, "Repository license.", example="MIT", null=True)


class IssueUpdate(NewIssue):
    """Changes to an issue; null clears a field."""

    is_update = True

    title = Text(255, "Title.", example=EXAMPLE_TITLE)
    task_brief = Text(50_000, "Task description for the candidate.", example=EXAMPLE_BRIEF)


class CatalogEntry(NewIssue):
    """An issue in a catalog file. The fixed id makes imports repeatable."""

    id = Id("Fixed id.", required=True)


class ShippedProblem(CatalogEntry):
    """The `problem.yaml` of a problem with a repository, hidden tests and a reference solution in `data/problems/`."""

    rubric = Nested(NewRubric, "Rubric of the assessments that are created from it.", required=True)
    time_limit_minutes = Integer("Their time limit in minutes.", min=1, max=43_200, required=True, example=90)


class Catalog(Schema):
    """A catalog file."""

    issues = ListOf(CatalogEntry, "Entries.", distinct="id", required=True)


class IssueQuery(PageQuery):
    """Filters and paging for issues."""

    language = String("Only issues in this language, ignoring case.")
    difficulty = Choice(DIFFICULTIES, "Only issues of this difficulty.")
    q = String("Only issues whose title or description contains this, ignoring case.", max=255)


IssueResponse = define_response("issue", Issue, "The issue.")
Issues = define_schema("Issues", "Issues, oldest first.", PageOf, issues=ListOf(Issue, "Issues."))
DeletedIssue = define_schema("DeletedIssue", "The issue is deleted. Its assessments remain.", Deleted)

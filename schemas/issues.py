"""The problem library, in and out."""

from marshmallow import fields, validate

from schemas import (
    Body,
    Deleted,
    Distinct,
    Id,
    PageOf,
    PageQuery,
    RepositoryUrl,
    Schema,
    Text,
    Timestamp,
    Words,
    described,
)

DIFFICULTIES = ("easy", "medium", "hard")
SHA = validate.Regexp(
    r"[0-9a-f]{40}\Z", error="Must be a full commit id: 40 hexadecimal digits in lower case."
)
EXAMPLE_BRIEF = "Orders are lost when two arrive at once. Find out why, fix it, and add a test that shows it."


EXAMPLE_SUMMARY = "Two orders that arrive at the same moment overwrite each other."
EXAMPLE_SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
EXAMPLE_SOURCES = ["https://github.com/example/orders/issues/12"]


class IssueFields(Schema):
    """What an issue tells about its problem."""

    title = fields.String(metadata=described("What it is about.", "Orders are lost under load"))
    repo_url = fields.String(
        allow_none=True, metadata=described("The repository.", "https://github.com/example/orders")
    )
    repo_commit = fields.String(
        allow_none=True,
        metadata=described("The commit to begin from.", EXAMPLE_SHA),
    )
    repo_subdir = fields.String(
        allow_none=True, metadata=described("The folder to work in.", "services/orders")
    )
    description = fields.String(
        allow_none=True, metadata=described("A summary for whoever chooses an issue.", EXAMPLE_SUMMARY)
    )
    difficulty = fields.String(
        allow_none=True, metadata=described("How hard it is.", "medium", enum=[*DIFFICULTIES, None])
    )
    language = fields.String(allow_none=True, metadata=described("The programming language.", "Go"))
    labels = fields.List(fields.String(), metadata=described("Words to sort by.", ["concurrency"]))
    task_brief = fields.String(metadata=described("The task as the candidate reads it.", EXAMPLE_BRIEF))
    setup_instructions = fields.String(
        allow_none=True, metadata=described("How to set it up.", "go mod download")
    )


class Issue(IssueFields):
    """A problem of the library. What would give the solution away is null for candidates (R3)."""

    id = Id(metadata=described("Its id."))
    test_command = fields.String(
        allow_none=True, metadata=described("How its tests run. For reviewers only.", "go test ./...")
    )
    reference_sha = fields.String(
        allow_none=True,
        metadata=described("The commit that solves it. For reviewers only.", EXAMPLE_SHA),
    )
    sources = fields.List(
        fields.String(),
        allow_none=True,
        metadata=described("Where it was found. For reviewers only.", EXAMPLE_SOURCES),
    )
    license = fields.String(
        allow_none=True, metadata=described("The repository's licence. For reviewers only.", "MIT")
    )
    is_catalogue = fields.Function(
        lambda issue: issue.organization_id is None,
        metadata={
            "type": "boolean",
            "description": "Whether it comes from the catalogue that all organizations see.",
            "example": False,
        },
    )
    created_at = Timestamp(metadata=described("When it was added."))
    updated_at = Timestamp(metadata=described("When it was last changed."))


class IssueBody(Body):
    """What the library keeps of a problem."""

    title = Text(255, required=True, metadata=described("What it is about.", "Orders are lost under load"))
    task_brief = Text(
        50_000, required=True, metadata=described("The task as the candidate reads it.", EXAMPLE_BRIEF)
    )
    repo_url = RepositoryUrl(
        allow_none=True, metadata=described("The repository.", "https://github.com/example/orders")
    )
    repo_commit = fields.String(
        allow_none=True, validate=SHA, metadata=described("The commit to begin from.", EXAMPLE_SHA)
    )
    repo_subdir = Text(
        1024, one_line=True, allow_none=True, metadata=described("The folder to work in.", "services/orders")
    )
    description = Text(
        10_000,
        allow_none=True,
        metadata=described("A summary for whoever chooses an issue.", EXAMPLE_SUMMARY),
    )
    difficulty = fields.String(
        allow_none=True,
        validate=validate.OneOf(DIFFICULTIES),
        metadata=described("How hard it is.", "medium"),
    )
    language = Text(
        100, one_line=True, allow_none=True, metadata=described("The programming language.", "Go")
    )
    labels = Words(100, metadata=described("Words to sort by.", ["concurrency"]))
    setup_instructions = Text(
        10_000, allow_none=True, metadata=described("How to set it up.", "go mod download")
    )
    test_command = Text(1000, allow_none=True, metadata=described("How its tests run.", "go test ./..."))
    reference_sha = fields.String(
        allow_none=True,
        validate=SHA,
        metadata=described("The commit that solves it; candidates never see it.", EXAMPLE_SHA),
    )
    sources = Words(2048, metadata=described("Where it was found.", EXAMPLE_SOURCES))
    license = Text(
        100, one_line=True, allow_none=True, metadata=described("The repository's licence.", "MIT")
    )


class NewIssue(IssueBody):
    """A new problem of the organization's own."""


class IssueChange(IssueBody):
    """What changes about a problem; an explicit null clears. Assessments made from it stay as they were."""

    is_change = True

    title = Text(255, metadata=described("What it is about.", "Orders are lost under load"))
    task_brief = Text(50_000, metadata=described("The task as the candidate reads it.", EXAMPLE_BRIEF))


class CatalogueEntry(NewIssue):
    """An issue in a catalogue's file; its fixed id makes importing it again safe."""

    id = Id(required=True, metadata=described("Its fixed id."))


class Catalogue(Schema):
    """A catalogue's file."""

    issues = fields.List(
        fields.Nested(CatalogueEntry),
        required=True,
        validate=Distinct("id"),
        metadata=described("Its entries."),
    )


class IssueQuery(PageQuery):
    """Which issues."""

    language = fields.String(metadata=described("Only issues in this language, in any letter case.", "go"))
    difficulty = fields.String(
        validate=validate.OneOf(DIFFICULTIES), metadata=described("Only issues of this difficulty.", "medium")
    )
    q = fields.String(
        validate=validate.Length(max=255),
        metadata=described(
            "Only issues whose title or description contains this, in any letter case.", "orders"
        ),
    )


class OneIssue(Schema):
    """One issue."""

    issue = fields.Nested(Issue, metadata=described("The issue."))


class Issues(PageOf):
    """A page of issues, oldest first."""

    issues = fields.List(fields.Nested(Issue), metadata=described("The issues of this page."))


class DeletedIssue(Deleted):
    """The issue is gone from the library; assessments made from it stay."""

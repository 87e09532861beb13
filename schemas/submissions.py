"""Candidates' submissions, and the final diff."""

from schemas.base import PageOf, Schema, define_schema
from schemas.common import EXAMPLE_SHA
from schemas.fields import Choice, Flag, Integer, ListOf, Nested, String
from schemas.timestamps import Timestamp

FORMATS = ("git", "zip", "tar")
STATES = ("waiting", "read", "unreadable", "stored", "verified", "mismatch", "missing", "replaced")
NO_DIFF_REASONS = ("no_submission", "waiting", "unreadable", "stored", "no_base")
FILE_STATUSES = ("added", "modified", "deleted", "renamed")
# The types in storage/bundle_listing.py, plus `unknown`.
FILE_TYPES = (
    *("file", "directory", "symbolic link", "hard link", "character device", "block device", "named pipe"),
    *("sparse file", "unknown"),
)
EXAMPLE_DIFF = "--- a/orders.py\n+++ b/orders.py\n@@ -1 +1,2 @@\n import json\n+import time\n"


class Submission(Schema):
    """A candidate's submission."""

    received_at = Timestamp("Time when the submission was received.", attribute="created_at")
    format = Choice(FORMATS, "Git bundle, zip archive, or a client's gzip-compressed tar.", example="git")
    size = Integer("Size in bytes; null if missing.", example=20480, null=True)
    sha256 = String("SHA-256 of the file.", example="e3b0c442" * 8, null=True)
    state = Choice(
        STATES,
        "A git bundle is `waiting` until it is `read` or `unreadable`; a zip archive, which has no diff, until it "
        "is `stored` or `unreadable`. A client's bundle is `verified`, `missing`, or a `mismatch` with the client's "
        "claims. `replaced`: by a later submission.",
        example="read",
    )


class SubmissionWithClaims(Submission):
    """A submission with the client's claims about its bundle."""

    claimed_size = Integer("Size in bytes, as claimed by the client.", example=20480, null=True)
    claimed_sha256 = String("SHA-256, as claimed by the client.", example="e3b0c442" * 8, null=True)
    repo_url = String("Repository URL, as submitted.", null=True)
    base_sha = String("Base commit of the diff, as submitted.", null=True)
    diff = String("Diff, if the submission is `verified`.", null=True)
    file_tree = ListOf(String(), "Files, if the submission is `verified`.", example=["orders.py"], null=True)


class SubmissionWithProblem(Submission):
    """A submission, and the problem with it, if any."""

    problem = String("Reason why the submission is unreadable, or that the store has lost it.", null=True)


class ParsedSubmission(SubmissionWithProblem):
    """A submission, with the result of reading it."""

    base_verified = Flag(
        "True if the base is the assessment's: `repoCommit`, or the empty tree without a repository. Null until a git "
        "bundle has been read.",
        example=True,
        null=True,
    )
    base_commit = String(
        "Base of the diff; null for the empty tree, and without a base.", example=EXAMPLE_SHA, null=True
    )
    head_commit = String("Submitted commit.", example=EXAMPLE_SHA, null=True)
    counted_lines = Integer("Added lines that are not blank.", example=120, null=True)
    not_recorded_lines = Integer(
        "Added lines that no recorded agent change added. Final ten minutes after the close.",
        example=24,
        null=True,
    )


class BundleFile(Schema):
    """A bundle entry."""

    name = String("Name, made safe to display.", example="src/orders.py")
    type = Choice(FILE_TYPES, "Type.", example="file")
    size = Integer("Size in bytes.", example=2048)
    unsafe = String("Reason why unpacking is unsafe; null if safe.", null=True)


class DiffFile(Schema):
    """A file in the final diff."""

    path = String("Path in the repository.", example="orders.py")
    old_path = String("Previous path of a renamed file.", null=True)
    status = Choice(FILE_STATUSES, "Kind of change.", example="modified")
    old_mode = String("Git file mode before. 120000: symbolic link, 160000: submodule.", null=True)
    new_mode = String("Git file mode after.", example="100644", null=True)
    is_binary = Flag("True if the file is binary.", example=False)
    is_truncated = Flag("True if the diff is truncated.", example=False)
    lines_added = Integer("Added lines.", example=1)
    lines_removed = Integer("Removed lines.", example=0)
    diff = String("Unified diff; null for a binary or too large file.", example=EXAMPLE_DIFF, null=True)
    is_too_large = Flag("True if the file is too large to show. Its lines do not count.", example=False)
    size = Integer("Size in bytes of a file that is too large to show; null if unknown.", null=True)
    not_recorded_ranges = ListOf(
        ListOf(Integer(), "First and last line."),
        "Line ranges that no recorded agent change added, excluding blank lines.",
        example=[[2, 2]],
    )


class BundleListing(Schema):
    """A client bundle's files."""

    submission = Nested(SubmissionWithClaims, "The bundle's submission.")
    files = ListOf(BundleFile, "Entries, up to the limits.")
    problem = String("Reason why the list is incomplete; null if complete.", null=True)


ReceivedSubmission = define_schema(
    "ReceivedSubmission", "The submission is stored.", submission=Nested(Submission, "The submission.")
)
Submissions = define_schema(
    "Submissions", "A session's submissions.", submissions=ListOf(SubmissionWithClaims, "Oldest first.")
)
FinalDiff = define_schema(
    "FinalDiff",
    "The submission's changes, by path.",
    PageOf,
    submission=Nested(ParsedSubmission, "The submission that counts; null without one.", null=True),
    no_diff_reason=Choice(
        NO_DIFF_REASONS,
        "Reason why there is no diff; null if there is one. `no_base`: the submission does not contain the commit to "
        "compare it with. `stored`: a zip archive.",
        null=True,
    ),
    client_diff=String("Diff that the candidate's client sent, if its bundle counts.", null=True),
    files=ListOf(DiffFile, "Changed files. Complete only if `noDiffReason` and `clientDiff` are null."),
)

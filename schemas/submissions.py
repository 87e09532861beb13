"""Candidates' submissions, and the final diff."""

from schemas.base import PageOf, Schema, shape
from schemas.common import EXAMPLE_SHA
from schemas.fields import Choice, Flag, Integer, ListOf, Nested, String
from schemas.timestamps import Timestamp

FORMATS = ("git", "zip", "tar")
STATES = ("waiting", "read", "unreadable", "stored", "verified", "mismatch", "missing", "replaced")
FILE_STATUSES = ("added", "modified", "deleted", "renamed")
# Those of storage/bundle_listing.py, and of any other entry.
FILE_TYPES = (
    *("file", "directory", "symbolic link", "hard link", "character device", "block device", "named pipe"),
    *("sparse file", "unknown"),
)
EXAMPLE_DIFF = "--- a/orders.py\n+++ b/orders.py\n@@ -1 +1,2 @@\n import json\n+import time\n"


class Submission(Schema):
    """A candidate's submission."""

    received_at = Timestamp("Time of arrival at the service.", attribute="created_at")
    format = Choice(FORMATS, "Git bundle, zip archive, or a client's gzip-compressed tar.", example="git")
    size = Integer("Size in bytes; null if nothing arrived.", example=20480, null=True)
    sha256 = String("SHA-256 of the file.", example="e3b0c442" * 8, null=True)
    state = Choice(
        STATES,
        "`waiting` until a git bundle has been read, then `read` or `unreadable`. A zip archive is only `stored`. A "
        "client's bundle is `verified`, a `mismatch` with what the client claims, or `missing`. `replaced` by a later "
        "submission.",
        example="read",
    )


class ListedSubmission(Submission):
    """A submission with what a client claims about its bundle."""

    claimed_size = Integer("Size in bytes that the client submitted.", example=20480, null=True)
    claimed_sha256 = String("SHA-256 that the client submitted.", example="e3b0c442" * 8, null=True)
    repo_url = String("Repository URL, as submitted.", null=True)
    base_sha = String("Base commit of the diff, as submitted.", null=True)
    diff = String("The diff; only of a `verified` submission.", null=True)
    file_tree = ListOf(
        String(), "The files; only of a `verified` submission.", example=["orders.py"], null=True
    )


class ReadSubmission(Submission):
    """A submission with the result of reading it."""

    problem = String("Reason if it cannot be read.", null=True)
    base_verified = Flag(
        "True if the bundle contains the commit that the assessment starts from; null until it has been read.",
        example=True,
        null=True,
    )
    base_commit = String(
        "Commit that it was compared with; null for the empty tree.", example=EXAMPLE_SHA, null=True
    )
    head_commit = String("Commit that was submitted.", example=EXAMPLE_SHA, null=True)
    counted_lines = Integer("Added lines that are not blank.", example=120, null=True)
    manual_lines = Integer(
        "Number of them that no recorded agent change added. Final ten minutes after the close.",
        example=24,
        null=True,
    )


class BundleFile(Schema):
    """One entry of a bundle."""

    name = String("Name, made safe to display.", example="src/orders.py")
    type = Choice(FILE_TYPES, "Type.", example="file")
    size = Integer("Size in bytes.", example=2048)
    unsafe = String("Reason why it is unsafe to unpack; null if it is safe.", null=True)


class DiffFile(Schema):
    """A file in the final diff."""

    path = String("Path in the repository.", example="orders.py")
    old_path = String("Earlier path of a renamed file.", null=True)
    status = Choice(FILE_STATUSES, "Kind of change.", example="modified")
    old_mode = String("Git's mode before: 120000 is a symbolic link, 160000 a submodule.", null=True)
    new_mode = String("Git's mode after.", example="100644", null=True)
    is_binary = Flag("True if it is binary; it then has no lines.", example=False)
    is_truncated = Flag("True if the diff is truncated.", example=False)
    lines_added = Integer("Added lines.", example=1)
    lines_removed = Integer("Removed lines.", example=0)
    diff = String("Unified diff; null for a binary file.", example=EXAMPLE_DIFF, null=True)
    manual_ranges = ListOf(
        ListOf(Integer(), "First and last line."),
        "Lines of the submitted file that no recorded agent change added, except blank ones.",
        example=[[2, 2]],
    )


class BundleListing(Schema):
    """The files of a client's bundle."""

    submission = Nested(ListedSubmission, "The submission that the bundle belongs to.")
    files = ListOf(BundleFile, "Entries of the bundle, up to the limits.")
    problem = String("Reason why the list is incomplete; null if it is complete.", null=True)


Received = shape("Received", "The submission is stored.", submission=Nested(Submission, "The submission."))
Submissions = shape(
    "Submissions", "All submissions of a session.", submissions=ListOf(ListedSubmission, "Oldest first.")
)
FinalDiff = shape(
    "FinalDiff",
    "The submitted files compared with the start, by path.",
    PageOf,
    submission=Nested(ReadSubmission, "The git bundle or zip archive; null without one.", null=True),
    files=ListOf(DiffFile, "Changed files; empty unless the submission is `read`."),
)

"""Hand-ins of candidates, and the final diff."""

from schemas.base import PageOf, Schema, shape
from schemas.fields import Choice, Flag, Integer, ListOf, Nested, String
from schemas.members import EXAMPLE_SHA
from schemas.timestamps import Timestamp

FORMATS = ("git", "zip")
STATES = ("waiting", "read", "unreadable", "stored")
FILE_STATUSES = ("added", "modified", "deleted", "renamed")
EXAMPLE_DIFF = "--- a/orders.py\n+++ b/orders.py\n@@ -1 +1,2 @@\n import json\n+import time\n"


class HandIn(Schema):
    """The candidate's latest hand-in."""

    received_at = Timestamp("When it was received.", attribute="created_at")
    format = Choice(FORMATS, "Git bundle or zip archive.", example="git")
    size = Integer("Size in bytes.", example=20480)
    sha256 = String("SHA-256 of the file.", example="e3b0c442" * 8)
    state = Choice(
        STATES,
        "`waiting` until a git bundle has been read, then `read` or `unreadable`; a zip archive is only `stored`.",
        example="read",
    )


class ReadHandIn(HandIn):
    """A hand-in with the result of reading it."""

    problem = String("Reason if it cannot be read.", null=True)
    base_verified = Flag(
        "Whether the bundle contains the commit that the assessment starts from; null until it has been read.",
        example=True,
        null=True,
    )
    base_commit = String(
        "Commit that it was compared with; null for the empty tree.", example=EXAMPLE_SHA, null=True
    )
    head_commit = String("Commit that was handed in.", example=EXAMPLE_SHA, null=True)
    counted_lines = Integer("Added lines that are not blank.", example=120, null=True)
    manual_lines = Integer(
        "Number of them that no recorded agent change added. Final ten minutes after the close.",
        example=24,
        null=True,
    )


class DiffFile(Schema):
    """A file in the final diff."""

    path = String("Path in the repository.", example="orders.py")
    old_path = String("Earlier path of a renamed file.", null=True)
    status = Choice(FILE_STATUSES, "Kind of change.", example="modified")
    old_mode = String("Git's mode before: 120000 is a symbolic link, 160000 a submodule.", null=True)
    new_mode = String("Git's mode after.", example="100644", null=True)
    is_binary = Flag("Whether it is binary; it then has no lines.", example=False)
    is_truncated = Flag("Whether the diff is truncated.", example=False)
    lines_added = Integer("Added lines.", example=1)
    lines_removed = Integer("Removed lines.", example=0)
    diff = String("Unified diff; null for a binary file.", example=EXAMPLE_DIFF, null=True)
    manual_ranges = ListOf(
        ListOf(Integer(), "First and last line."),
        "Lines of the handed-in file that no recorded agent change added, except blank ones.",
        example=[[2, 2]],
    )


Received = shape("Received", "The hand-in is stored.", hand_in=Nested(HandIn, "The hand-in."))
FinalDiff = shape(
    "FinalDiff",
    "The handed-in files compared with the start, by path.",
    PageOf,
    hand_in=Nested(ReadHandIn, "The hand-in; null without one.", null=True),
    files=ListOf(DiffFile, "Changed files; empty unless the hand-in is `read`."),
)

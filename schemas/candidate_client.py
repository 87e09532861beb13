"""Requests from the candidate's client, except events (client contract, 3.1, 3.6 to 3.11, 3.17)."""

import json
from typing import Any

import marshmallow as ma
from marshmallow.validate import Range

from rules.plain_text import to_storable
from schemas import common
from schemas.base import Body, Schema, define_schema
from schemas.fields import (
    MAX_URL_CHARACTERS,
    Choice,
    Dict,
    Flag,
    Integer,
    ListOf,
    Nested,
    Number,
    Pattern,
    String,
)
from schemas.queries import Filter
from schemas.timestamps import Timestamp

BOOT_TIME_RANGE = Range(0, 3600, error="Must be a number between 0 and 3600.")
COMMIT = ("[0-9a-fA-F]{4,64}", "Must be a commit id, possibly abbreviated.")
SHA256 = ("[0-9a-fA-F]{64}", "Must be a SHA-256: 64 hexadecimal digits.")
MAX_FINGERPRINT_BYTES = 64 * 1024
EXAMPLE_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class VersionQuery(Filter):
    """Client version."""

    version = String("Client version.", max=100, load_default="")


class VersionCheck(Schema):
    """Version check result."""

    update_required = Flag("True if the client must be updated before use.", example=False)
    update_recommended = Flag("True if a newer client is available.", example=False)
    latest_version = String("Latest version, if configured.", example="1.10.0")
    min_version = String("Oldest supported version, if configured.", example="1.9.0")
    message = String("Message for the candidate; empty if no update is needed.", example="")


class SessionReference(Body):
    """The credential's session."""

    session_id = common.SESSION_ID


class WorkspaceCommit(SessionReference):
    """The workspace's starting commit."""

    commit_sha = Pattern(*COMMIT, "Commit id, possibly abbreviated.", example="4b825dc", required=True)


def check_fingerprint(fingerprint: dict[str, Any]) -> None:
    content = json.dumps(fingerprint, ensure_ascii=False, separators=(",", ":"))
    if len(content.encode()) > MAX_FINGERPRINT_BYTES:
        raise ma.ValidationError("Must be at most 64 KiB as JSON.")


class DeviceCheck(Body):
    """The candidate's machine."""

    checkpoint = Choice(["start", "done"], "Time of the check.", example="start", required=True)
    fingerprint = Dict(
        "Operating system, processor and memory. Names are hashed. At most 64 KiB.",
        validate=check_fingerprint,
        example={"os": "linux", "arch": "amd64", "cpuCount": 8, "ramBytes": 16777216000},
        required=True,
    )


class HostedBoot(Body):
    """A hosted workspace's start."""

    prebuilt = Flag("True if the workspace was prebuilt.", example=True, null=True)
    on_create_completed = Flag("True if the setup completed.", example=True, null=True)
    boot_seconds = Number("Start time in seconds.", validate=BOOT_TIME_RANGE, example=41.5, null=True)
    tree_matches = Flag("True if the files are as expected.", example=True, null=True)


Verdict = define_schema("Verdict", "The result.", state=Choice(["ok", "differs"], "State.", example="ok"))
HostedBootResponse = define_schema(
    "HostedBootResponse", "Recorded.", verdict=Nested(Verdict, "For the client's log.")
)
Recorded = define_schema("Recorded", "The report is recorded.", ok=common.ALWAYS_TRUE)


class OpenUpload(Schema):
    """An open upload for one bundle."""

    upload_url = String("URL to PUT the bundle to.", example="https://assess.example.com/v1/bundles/...")
    object_key = String("Value for `bundleKey`.", example="2f0c.../01a2....tar.gz")
    token = String("Unused.", null=True)
    expires_at = Timestamp("URL expiry.")


class SourceText(String):
    """Source text. Characters that the database cannot store become U+FFFD."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return to_storable(text, len(text))


class TruncatedString(String):
    """A string truncated to `max` characters, because a rejection would block the candidate."""

    def __init__(self, max: int, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.max = max

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        return super()._deserialize(value, attr, data, **kwargs)[: self.max]


class SubmittedCode(SessionReference):
    """The candidate's code: a diff, and a previously uploaded bundle."""

    # Files that Git treats as text can contain NUL, and a rejection would block the candidate.
    verbatim = ("diff",)
    # `fileTree` has an entry for each of the repository's files.
    max_values = 500_000

    bundle_key = String("The upload's `objectKey`.", example="2f0c.../01a2....tar.gz", required=True)
    claimed_size = Integer(
        "Bundle size in bytes.", data_key="bundleSize", min=0, max=2**53, example=20480, required=True
    )
    claimed_sha256 = Pattern(
        *SHA256, "Bundle SHA-256.", data_key="bundleSha256", example=EXAMPLE_SHA256, required=True
    )
    diff = SourceText("Changes since the base commit, as a unified diff.", load_default="")
    file_tree = ListOf(String(), "File names.", load_default=list, example=["orders.py"])
    repo_url = TruncatedString(
        MAX_URL_CHARACTERS,
        "Repository URL; only the first 2048 characters are stored.",
        load_default="",
        example=common.EXAMPLE_REPOSITORY,
    )
    base_sha = TruncatedString(
        64, "Base commit of the diff; only the first 64 characters are stored.", load_default=""
    )


class SubmissionVerdict(Schema):
    """Submission result."""

    ok = Flag("Always true: the submission is recorded.", example=True)
    verified = Flag("True if the stored bundle matches and the submission counts.", example=True)

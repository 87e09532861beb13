"""What the candidate's client sends and reads beside its events (client contract, 3.1, 3.6 to 3.11, 3.17)."""

from typing import Any

from marshmallow import fields, validate

from rules.plain_text import storable
from schemas import EXAMPLE_ID, Body, Count, Filter, Schema, Timestamp, described


class VersionQuery(Filter):
    """Which client asks."""

    version = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata=described("The client's version.", "1.10.0"),
    )


class VersionCheck(Schema):
    """Whether the client is recent enough."""

    update_required = fields.Boolean(metadata=described("Whether the client must be updated first.", False))
    update_recommended = fields.Boolean(metadata=described("Whether a newer client is there.", False))
    latest_version = fields.String(metadata=described("The latest version, if it is set.", "1.10.0"))
    min_version = fields.String(metadata=described("The oldest version that works, if it is set.", "1.9.0"))
    message = fields.String(metadata=described("A sentence for the candidate; empty if all is well.", ""))


class OfSession(Body):
    """Names the session; it must be the credential's own."""

    session_id = fields.String(
        required=True, metadata=described("The session, as redeem answered it.", EXAMPLE_ID)
    )


class WorkspaceCommit(OfSession):
    """Where the workspace begins."""

    commit_sha = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[0-9a-fA-F]{4,64}\Z", error="Must be a commit id, which may be abbreviated."
        ),
        metadata=described("The commit, possibly abbreviated.", "4b825dc"),
    )


class DeviceCheck(Body):
    """What kind of machine the candidate works on."""

    checkpoint = fields.String(
        required=True,
        validate=validate.OneOf(["start", "done"]),
        metadata=described("When it was looked at.", "start", enum=["start", "done"]),
    )
    fingerprint = fields.Dict(
        required=True,
        metadata=described(
            "System, processor and memory; names of machine and user only as digests.",
            {"os": "linux", "arch": "amd64", "cpuCount": 8, "ramBytes": 16777216000},
        ),
    )


class HostedBoot(Body):
    """How a hosted workspace came up."""

    prebuilt = fields.Boolean(
        allow_none=True, truthy={True}, falsy={False}, metadata=described("Prebuilt.", True)
    )
    on_create_completed = fields.Boolean(
        allow_none=True,
        truthy={True},
        falsy={False},
        metadata=described("Whether its preparation ended.", True),
    )
    boot_seconds = fields.Float(
        allow_none=True,
        validate=validate.Range(min=0, max=3600),
        metadata=described("How long it took.", 41.5),
    )
    tree_matches = fields.Boolean(
        allow_none=True,
        truthy={True},
        falsy={False},
        metadata=described("Whether its content is as expected.", True),
    )


class Verdict(Schema):
    """What the service makes of a hosted workspace."""

    state = fields.String(
        metadata=described("`ok`, or `differs` where its content is not as expected.", "ok")
    )


class HostedBootAnswer(Schema):
    """The report is recorded."""

    verdict = fields.Nested(Verdict, metadata=described("For the client's log."))


class Recorded(Schema):
    """It is recorded."""

    ok = fields.Boolean(metadata=described("Always true.", True))


class UploadPlace(Schema):
    """A place for one bundle."""

    upload_url = fields.String(
        metadata=described(
            "Where to PUT the bundle; the address authorises itself.",
            "https://assess.example.com/v1/bundles/...",
        )
    )
    object_key = fields.String(
        metadata=described("To be sent back as `bundleKey`.", "2f0c.../01a2....tar.gz")
    )
    token = fields.String(allow_none=True, metadata=described("Not used; the address authorises itself."))
    expires_at = Timestamp(metadata=described("Until when the address works."))


class SourceText(fields.String):
    """Text out of source files; what no column can hold becomes U+FFFD."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return storable(text, len(text))


class SubmittedCode(OfSession):
    """What the candidate's code is, as a diff and as a bundle that was uploaded before."""

    # Git takes a file for text whose first NUL stands far behind, and a refusal would keep the candidate from ending.
    verbatim = ("diff",)

    bundle_key = fields.String(
        required=True, metadata=described("The upload's `objectKey`.", "2f0c.../01a2....tar.gz")
    )
    bundle_size = Count(0, 2**53, required=True, metadata=described("Bytes of the bundle.", 20480))
    bundle_sha256 = fields.String(
        required=True,
        validate=validate.Regexp(r"[0-9a-fA-F]{64}\Z", error="Must be a SHA-256: 64 hexadecimal digits."),
        metadata=described(
            "SHA-256 of the bundle.", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
    )
    diff = SourceText(load_default="", metadata=described("The changes against the base, as a unified diff."))
    file_tree = fields.List(
        fields.String(), load_default=list, metadata=described("Names of the files.", ["orders.py"])
    )
    repo_url = fields.String(
        load_default="", metadata=described("The repository.", "https://github.com/example/orders")
    )
    base_sha = fields.String(load_default="", metadata=described("The commit that the diff is against."))


class SubmissionVerdict(Schema):
    """What became of a submission."""

    ok = fields.Boolean(metadata=described("Always true: the facts are recorded.", True))
    verified = fields.Boolean(
        metadata=described(
            "Whether the stored bundle has just this size and digest and is the submission now.", True
        )
    )

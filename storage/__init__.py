"""Storage for submissions: a local folder or an S3-compatible store.

A submission is a git bundle, a zip archive, or a client's gzip-compressed tar, of at most MAX_BUNDLE_BYTES. Submissions
are streamed and never unpacked. Services on several machines need S3 or a shared volume.
"""

from collections.abc import Callable, Mapping
from typing import Any

from storage.base import (
    CONTENT_TYPE,
    MAX_BUNDLE_BYTES,
    Storage,
    is_object_key,
    new_object_key,
    validate_length,
)
from storage.folder import FolderStorage
from storage.s3 import S3Storage


def build_storage(settings: Mapping[str, Any], secret: Callable[[], bytes]) -> Storage:
    """Return S3 storage if S3_BUCKET is set, otherwise BUNDLE_FOLDER with URLs signed by `secret`."""
    if not settings["S3_BUCKET"]:
        return FolderStorage(settings["BUNDLE_FOLDER"], settings["BASE_URL"], secret)
    return S3Storage(
        settings["S3_BUCKET"],
        settings["S3_PREFIX"] or "",
        endpoint_url=settings["S3_ENDPOINT_URL"],
        region_name=settings["S3_REGION"],
        aws_access_key_id=settings["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["S3_SECRET_ACCESS_KEY"],
    )

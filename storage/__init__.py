"""Storage for submitted bundles: a local folder or an S3-compatible store.

A bundle is a gzip-compressed tar of at most MAX_BUNDLE_BYTES. It is always streamed and never unpacked. The server
generates object keys; they contain nothing from the client. Several machines need S3 or a shared volume.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storage.base import (
    CONTENT_TYPE,
    MAX_BUNDLE_BYTES,
    Full,
    Incomplete,
    LengthRequired,
    Missing,
    Storage,
    StorageError,
    TooLarge,
    Unavailable,
    is_object_key,
    new_object_key,
)
from storage.folder import FolderStorage
from storage.s3 import S3Storage


def build_storage(settings: Mapping[str, Any], base_url: str, secret: Callable[[], bytes]) -> Storage:
    """Return S3 storage if S3_BUCKET is set, else the folder BUNDLE_FOLDER.

    base_url, secret -- see FolderStorage
    Raises ValueError if only one of the two S3 credentials is set.
    """
    if not settings.get("S3_BUCKET"):
        return FolderStorage(Path(settings.get("BUNDLE_FOLDER") or "var/bundles"), base_url, secret)
    access_key_id = settings.get("S3_ACCESS_KEY_ID") or None
    secret_access_key = settings.get("S3_SECRET_ACCESS_KEY") or None
    if (access_key_id is None) != (secret_access_key is None):
        raise ValueError("Set both S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or neither")
    return S3Storage(
        settings["S3_BUCKET"],
        prefix=settings.get("S3_PREFIX") or "",
        endpoint_url=settings.get("S3_ENDPOINT_URL") or None,
        region=settings.get("S3_REGION") or None,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
    )

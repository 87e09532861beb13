"""Where bundles of code lie: a folder by default, an S3-compatible store in production (contract 3.9 and 3.10).

A bundle is a gzip-compressed tar of at most LARGEST_BUNDLE bytes. It is never held in memory as a whole and never
unpacked here. The database knows each object by its key; the keys are made here and hold nothing of the client's.

The folder belongs to one machine: where several run the service, they need a store, or one shared volume.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storage.base import (
    CONTENT_TYPE,
    LARGEST_BUNDLE,
    Full,
    Incomplete,
    LengthRequired,
    Missing,
    Readable,
    Storage,
    StorageError,
    TooLarge,
    Unavailable,
    is_object_key,
    new_object_key,
)
from storage.folder import FolderStorage
from storage.s3 import S3Storage

__all__ = [
    "CONTENT_TYPE",
    "LARGEST_BUNDLE",
    "FolderStorage",
    "Full",
    "Incomplete",
    "LengthRequired",
    "Missing",
    "Readable",
    "S3Storage",
    "Storage",
    "StorageError",
    "TooLarge",
    "Unavailable",
    "is_object_key",
    "new_object_key",
    "storage_from",
]


def storage_from(settings: Mapping[str, Any], base_url: str, secret: Callable[[], bytes]) -> Storage:
    """The storage that the settings name: S3 where S3_BUCKET is set, else the folder BUNDLE_FOLDER (var/bundles).

    base_url, secret -- see FolderStorage
    Raises ValueError, with what is wanted, where one half of a pair of credentials is missing.
    """
    if not settings.get("S3_BUCKET"):
        return FolderStorage(Path(settings.get("BUNDLE_FOLDER") or "var/bundles"), base_url, secret)
    access_key_id = settings.get("S3_ACCESS_KEY_ID") or None
    secret_access_key = settings.get("S3_SECRET_ACCESS_KEY") or None
    if (access_key_id is None) != (secret_access_key is None):
        raise ValueError("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, both or neither")
    return S3Storage(
        settings["S3_BUCKET"],
        prefix=settings.get("S3_PREFIX") or "",
        endpoint_url=settings.get("S3_ENDPOINT_URL") or None,
        region=settings.get("S3_REGION") or None,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
    )

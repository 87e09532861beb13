"""Bundle stores and uploads for the storage tests."""

import io
import urllib.request
import zipfile
from datetime import UTC, datetime, timedelta

from models import StorageMarker
from storage import FolderStorage, S3Storage
from storage.base import MARKER

SESSION = "11111111-1111-4111-8111-111111111111"
SECRET = bytes(range(32))
REGION = "eu-central-1"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"


class Zeros:
    """A stream of zeros that uses no memory."""

    def __init__(self, length: int):
        self.length = self.remaining = length

    def read(self, size: int = -1, /) -> bytes:
        size = min(self.remaining, size if size >= 0 else self.remaining)
        self.remaining -= size
        return bytes(size)


def make_zip(**files: str | bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def folder_at(path) -> FolderStorage:
    return FolderStorage(path, "https://proofstone.example.com", lambda: SECRET)


def use_folder(app, folder, monkeypatch) -> FolderStorage:
    """Create a folder and make it the application's bundle store."""
    store = folder_at(folder)
    use_store(app, store, monkeypatch)
    return store


def use_store(app, store, monkeypatch) -> None:
    """Make a store the application's."""
    StorageMarker.adopt(store)
    monkeypatch.setitem(app.extensions, "storage", store)
    monkeypatch.setattr(app.extensions["readiness"], "_storage", store)


def bundle_files(folder) -> list:
    """List the files in a bundle folder, without its marker."""
    return sorted(path for path in folder.iterdir() if path.name != MARKER)


def s3_at(endpoint_url: str | None, bucket: str = "bundles", prefix: str = "") -> S3Storage:
    return S3Storage(
        bucket,
        prefix,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=15)


def upload(store, key: str, content: bytes | Zeros) -> None:
    """Store an object: through the S3 upload URL, or directly in the folder."""
    length = content.length if isinstance(content, Zeros) else len(content)
    if isinstance(store, FolderStorage):
        store.receive(key, content if isinstance(content, Zeros) else io.BytesIO(content), length)
        return
    headers = {"Content-Type": "application/gzip", "Content-Length": str(length)}
    request = urllib.request.Request(store.upload_url(key, soon()), content, headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 200


def contents(store, key: str) -> bytes:
    return b"".join(store.chunks(key))

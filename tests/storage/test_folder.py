"""Folder storage: signed upload URLs, atomic uploads, and partial uploads."""

import errno
import hashlib
import hmac
import io
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest
from bundle_stores import SECRET, SESSION, contents, folder_at, upload

from errors import Incomplete, StoreUnavailable, TooLarge
from storage import MAX_BUNDLE_BYTES, is_object_key, new_object_key
from storage.base import MARKER
from tests.live.client import run_concurrently

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)


def files(folder):
    return sorted(os.listdir(folder.folder))


def test_an_upload_url_is_signed_and_valid_until_it_expires(folder, object_key):
    url = urlsplit(folder.upload_url(object_key, NOW + timedelta(minutes=15)))
    assert (
        f"{url.scheme}://{url.netloc}{url.path}" == f"https://proofstone.example.com/v1/bundles/{object_key}"
    )
    signed = {"object_key": object_key, **dict(parse_qsl(url.query))}
    expires = str(int(NOW.timestamp()) + 900)
    signature = hmac.new(SECRET, f"PUT\n{object_key}\n{expires}".encode(), hashlib.sha256).hexdigest()
    assert signed == {"object_key": object_key, "expires": expires, "signature": signature}
    for minutes, is_valid in [(0, True), (14, True), (14, True), (15, False), (10**6, False)]:
        assert folder.is_signed(**signed, now=NOW + timedelta(minutes=minutes)) is is_valid
    for parameter, values in {
        "object_key": [new_object_key(SESSION), "../x"],
        "expires": ["1775038501", "9999999999", "\uff19" * 10, "-1", "1e10", "", "9" * 5000],
        "signature": ["", "0" * 64, "é", "\ud800"],
    }.items():
        for value in values:
            assert not folder.is_signed(**signed | {parameter: value}, now=NOW), (parameter, value)


def test_an_upload_is_read_up_to_its_length_into_a_private_file(folder, object_key):
    folder.receive(object_key, io.BytesIO(b"0123456789"), 4)
    assert contents(folder, object_key) == b"0123"
    assert (folder.folder / object_key).stat().st_mode & 0o077 == 0


def test_files_are_copied_without_hard_links(folder, object_key, monkeypatch):
    def reject(*paths):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", reject)
    upload(folder, object_key, b"code")
    copy = new_object_key(SESSION)
    folder.copy(object_key, copy)
    assert contents(folder, copy) == b"code"
    assert files(folder) == sorted([object_key, copy])


class ResetConnection(io.BytesIO):
    def read(self, size=-1, /):
        if content := super().read(size):
            return content
        raise ConnectionResetError


@pytest.mark.parametrize("stream", [io.BytesIO, ResetConnection])
def test_an_interrupted_upload_keeps_the_previous_bundle(folder, object_key, stream):
    upload(folder, object_key, b"before")
    with pytest.raises(Incomplete):
        folder.receive(object_key, stream(b"0123"), 10)
    assert contents(folder, object_key) == b"before"
    assert files(folder) == [object_key]


def test_concurrent_uploads_leave_one_complete_object(folder, object_key):
    bodies = [bytes([number]) * 300_000 for number in range(8)]
    run_concurrently([partial(upload, folder, object_key, body) for body in bodies])
    assert contents(folder, object_key) in bodies
    assert files(folder) == [object_key]


def test_a_bundle_above_the_limit_is_not_read(folder, object_key):
    with (folder.folder / object_key).open("wb") as file:
        file.truncate(MAX_BUNDLE_BYTES + 1)
    with pytest.raises(TooLarge):
        folder.size_and_sha256(object_key)


def make_partial_upload(folder, object_key: str, age_hours: int = 0) -> str:
    part = folder.folder / f"{object_key}.{'0' * 16}.part"
    part.write_bytes(b"half a")
    modified_at = NOW.timestamp() - age_hours * 3600
    os.utime(part, (modified_at, modified_at))
    return part.name


def test_partial_uploads_are_deleted_with_their_bundle_or_after_a_day(folder, object_key):
    upload(folder, object_key, b"code")
    make_partial_upload(folder, object_key)
    folder.delete(object_key)
    assert files(folder) == []
    upload(folder, object_key, b"code")
    make_partial_upload(folder, new_object_key(SESSION), age_hours=30)
    recent = make_partial_upload(folder, new_object_key(SESSION), age_hours=1)
    folder.delete_partial_uploads(NOW - timedelta(hours=24))
    assert files(folder) == sorted([recent, object_key])


def test_a_marked_folder_is_private_and_its_marker_is_no_bundle(folder, tmp_path):
    new = folder_at(tmp_path / "new" / "bundles")
    assert new.read_marker() is None
    new.write_marker("an id")
    assert new.read_marker() == "an id"
    assert new.folder.stat().st_mode & 0o077 == 0
    assert not is_object_key(MARKER)


def test_a_missing_folder_is_unavailable_and_not_recreated(folder, object_key, tmp_path):
    """Files written to an unmounted volume's mount point would be hidden later."""
    upload(folder, object_key, b"code")
    folder.folder.rename(tmp_path / "unmounted")
    calls = folder.delete, folder.size, lambda key: upload(folder, key, b"more")
    for call in (*calls, lambda key: folder.check_writable()):
        with pytest.raises(StoreUnavailable):
            call(object_key)
    assert not folder.folder.exists()
    (tmp_path / "unmounted").rename(folder.folder)
    assert contents(folder, object_key) == b"code"

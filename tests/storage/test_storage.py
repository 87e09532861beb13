import hashlib
import hmac
import io
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import pytest
from s3_server import free_port, s3_server

import storage
from storage import (
    LARGEST_BUNDLE,
    FolderStorage,
    Incomplete,
    LengthRequired,
    Missing,
    S3Storage,
    TooLarge,
    Unavailable,
    is_object_key,
    new_object_key,
    storage_from,
)

SESSION = "11111111-1111-4111-8111-111111111111"
SECRET = bytes(range(32))
NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
MIB = 1024 * 1024
CREDENTIALS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG"}
REGION = "eu-central-1"


@pytest.fixture(scope="session")
def s3_address():
    with s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def owner(s3_address):
    """The bucket's owner, who makes it and looks into it."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_address,
        region_name=REGION,
        aws_access_key_id="anyone",
        aws_secret_access_key="anything",
    )
    yield client
    client.close()


@pytest.fixture(scope="session")
def bucket(owner):
    owner.create_bucket(Bucket="bundles", CreateBucketConfiguration={"LocationConstraint": REGION})
    return "bundles"


@pytest.fixture
def s3(s3_address, bucket):
    return S3Storage(bucket, prefix="kept/", endpoint_url=s3_address, region=REGION, **CREDENTIALS)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bundles").mkdir()
    return FolderStorage(tmp_path / "bundles", "https://proofstone.example.com", lambda: SECRET)


@pytest.fixture(params=["folder", "s3"])
def store(request):
    """Either storage: what is promised holds for both."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def key():
    return new_object_key(SESSION)


def upload(store, key: str, content: bytes) -> None:
    """What the client does with an upload URL, or the service's own route with a folder."""
    if isinstance(store, FolderStorage):
        store.receive(key, io.BytesIO(content), len(content))
    else:
        assert put(store.upload_url(key, soon()), content) == 200


def put(url: str, body) -> int:
    length = len(body) if isinstance(body, bytes) else body.length
    headers = {"Content-Type": "application/gzip", "Content-Length": str(length)}
    request = urllib.request.Request(url, body, headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=15)


def contents(store, key: str) -> bytes:
    return b"".join(store.chunks(key))


class Zeros:
    """A stream of so many zeros that takes no room."""

    def __init__(self, length: int):
        self.length = self.rest = length

    def read(self, size: int = -1, /) -> bytes:
        size = min(self.rest, size if size >= 0 else self.rest)
        self.rest -= size
        return bytes(size)


# What holds for both


def test_a_bundle_comes_out_as_it_went_in(store, key):
    content = random.Random(1).randbytes(700_000)
    upload(store, key, content)
    assert contents(store, key) == content
    assert store.size(key) == 700_000
    assert store.size_and_sha256(key) == (700_000, hashlib.sha256(content).hexdigest())
    assert store.exists(key)


def test_an_opened_bundle_is_read_in_pieces(store, key):
    upload(store, key, b"0123456789")
    stream = store.open(key)
    assert (stream.read(4), stream.read(4), stream.read(4), stream.read(4)) == (b"0123", b"4567", b"89", b"")
    stream.close()


def test_a_bundle_that_is_put_again_is_the_last_one(store, key):
    for content in (b"first", b"second, longer", b"third"):
        upload(store, key, content)
    assert contents(store, key) == b"third"


def test_bundles_have_nothing_to_do_with_each_other(store, key):
    other = new_object_key(SESSION)
    upload(store, key, b"one")
    upload(store, other, b"two")
    store.delete(key)
    assert contents(store, other) == b"two"


def test_a_deleted_bundle_is_gone_and_deleting_it_again_does_nothing(store, key):
    upload(store, key, b"code")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


def test_a_bundle_that_never_came_is_missing(store, key):
    assert not store.exists(key)
    for call in (store.open, store.size, store.size_and_sha256, store.chunks):
        with pytest.raises(Missing):
            call(key)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../../etc/passwd",
        f"{SESSION}/x",
        "/etc/passwd",
        "a\0b",
        "*",
        f"{SESSION}.{'0' * 31}A.TAR.GZ",
    ],
)
def test_a_name_of_another_form_is_no_bundle(store, name):
    assert not store.exists(name)
    store.delete(name)
    for call in (store.open, store.size, store.size_and_sha256):
        with pytest.raises(Missing):
            call(name)


@pytest.mark.slow
def test_a_hundred_mebibytes_take_no_memory(store, key):
    size = 100 * MIB
    upload(store, key, b"boto3 itself takes memory, once")
    store.size_and_sha256(key)
    tracemalloc.start()
    if isinstance(store, FolderStorage):
        store.receive(key, Zeros(size), size)
    else:
        assert put(store.upload_url(key, soon()), Zeros(size)) == 200
    found = store.size_and_sha256(key)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    zeros = hashlib.sha256()
    for _ in range(100):
        zeros.update(bytes(MIB))
    assert found == (size, zeros.hexdigest())
    assert peak < 4 * MIB
    store.delete(key)


# Keys


def test_a_key_names_its_session_and_cannot_be_guessed():
    keys = {new_object_key(SESSION) for _ in range(100)}
    assert len(keys) == 100
    assert all(is_object_key(key) and key.startswith(SESSION + ".") for key in keys)


@pytest.mark.parametrize("suffix", ["\n", "/", ".part", "%00", " "])
def test_a_key_with_anything_behind_it_is_none(key, suffix):
    assert not is_object_key(key + suffix)


# The folder


def test_an_upload_url_names_one_object_and_is_signed(folder, key):
    url = urlsplit(folder.upload_url(key, NOW + timedelta(minutes=15)))
    assert (url.scheme, url.netloc, url.path) == ("https", "proofstone.example.com", f"/v1/bundles/{key}")
    query = parse_qs(url.query)
    content = f"PUT\n{key}\n{int(NOW.timestamp()) + 900}".encode()
    assert query["expires"] == [str(int(NOW.timestamp()) + 900)]
    assert query["signature"] == [hmac.new(SECRET, content, hashlib.sha256).hexdigest()]


@pytest.fixture
def given(folder, key):
    """The parameters of an upload URL that was given out at NOW for 15 minutes."""
    query = parse_qs(urlsplit(folder.upload_url(key, NOW + timedelta(minutes=15))).query)
    return {"object_key": key, "expires": query["expires"][0], "signature": query["signature"][0]}


def test_a_signature_is_good_any_number_of_times_until_it_expires(folder, given):
    for minutes in (0, 0, 14):
        assert folder.check_signature(**given, now=NOW + timedelta(minutes=minutes))
    for minutes in (15, 16, 10**6):
        assert not folder.check_signature(**given, now=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "change",
    [
        {"object_key": new_object_key(SESSION)},
        {"object_key": "../x"},
        {"expires": "1775038501"},
        {"expires": "9999999999"},
        {"expires": "\uff19" * 10},
        {"expires": "-1"},
        {"expires": "1e10"},
        {"expires": ""},
        {"expires": "9" * 5000},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "é"},
        {"signature": "\ud800"},
    ],
)
def test_another_object_moment_or_signature_is_refused(folder, given, change):
    assert not folder.check_signature(**given | change, now=NOW)


def test_a_signature_of_another_secret_is_refused(folder, given):
    other = FolderStorage(folder.folder, folder.base_url, lambda: bytes(32))
    assert not other.check_signature(**given, now=NOW)


def test_an_upload_without_a_length_is_refused(folder, key):
    with pytest.raises(LengthRequired):
        folder.receive(key, io.BytesIO(b"x"), None)
    with pytest.raises(LengthRequired):
        folder.receive(key, io.BytesIO(b"x"), -1)


def test_an_upload_that_is_too_large_is_refused_before_anything_is_read(folder, key):
    stream = Zeros(LARGEST_BUNDLE + 1)
    with pytest.raises(TooLarge):
        folder.receive(key, stream, LARGEST_BUNDLE + 1)
    assert stream.rest == LARGEST_BUNDLE + 1


def test_an_upload_never_takes_more_than_its_length(folder, key):
    folder.receive(key, io.BytesIO(b"0123456789"), 4)
    assert contents(folder, key) == b"0123"


class Breaking(io.BytesIO):
    def read(self, size=-1, /):
        return super().read(size) or self._break()

    def _break(self):
        raise ConnectionResetError


@pytest.mark.parametrize("stream", [io.BytesIO, Breaking])
def test_an_upload_that_breaks_off_leaves_what_was_there(folder, key, stream):
    upload(folder, key, b"before")
    with pytest.raises(Incomplete):
        folder.receive(key, stream(b"0123"), 10)
    assert contents(folder, key) == b"before"
    assert os.listdir(folder.folder) == [key]


def test_uploads_of_one_object_at_once_leave_one_of_them_whole(folder, key):
    bodies = [bytes([number]) * 300_000 for number in range(8)]
    threads = [threading.Thread(target=upload, args=(folder, key, body)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(folder, key) in bodies
    assert os.listdir(folder.folder) == [key]


def test_a_name_of_another_form_is_never_written(folder):
    with pytest.raises(Missing):
        folder.receive("../outside", io.BytesIO(b"x"), 1)
    assert os.listdir(folder.folder) == []
    assert os.listdir(folder.folder.parent) == [folder.folder.name]


def part_of(folder, key: str, age_hours: int):
    part = folder.folder / f"{key}.{'0' * 16}.part"
    part.write_bytes(b"half a")
    moment = NOW.timestamp() - age_hours * 3600
    os.utime(part, (moment, moment))
    return part


def test_what_a_killed_process_left_goes_with_the_bundle(folder, key):
    part_of(folder, key, 0)
    folder.delete(key)
    assert os.listdir(folder.folder) == []


def test_old_leftovers_are_removed_and_bundles_and_running_uploads_are_not(folder, key):
    upload(folder, key, b"code")
    old, new = part_of(folder, new_object_key(SESSION), 30), part_of(folder, new_object_key(SESSION), 1)
    assert folder.remove_leftovers(NOW - timedelta(hours=24)) == 1
    assert (old.exists(), new.exists(), folder.exists(key)) == (False, True, True)


def test_a_bundle_that_grew_too_large_is_not_read(folder, key):
    with (folder.folder / key).open("wb") as file:
        file.truncate(LARGEST_BUNDLE + 1)
    with pytest.raises(TooLarge):
        folder.size_and_sha256(key)


# The S3-compatible store; moto checks neither signatures nor expiry, so they are reckoned here by hand


def signature_v4(url, query: dict[str, str], secret: str) -> str:
    """AWS Signature Version 4 of a presigned PUT with the headers content-type and host, step by step."""
    stated = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in sorted(query.items())
        if name != "X-Amz-Signature"
    )
    headers = f"content-type:application/gzip\nhost:{url.netloc}\n"
    request = "\n".join(["PUT", url.path, stated, headers, "content-type;host", "UNSIGNED-PAYLOAD"])
    moment = query["X-Amz-Date"]
    scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def test_a_presigned_url_is_signed_for_one_object_its_type_and_its_time(s3, s3_address, key):
    url = urlsplit(s3.upload_url(key, datetime.now(UTC) + timedelta(minutes=15)))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}" == s3_address
    assert url.path == f"/bundles/kept/{key}"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-SignedHeaders"] == "content-type;host"
    assert query["X-Amz-Credential"] == f"AKIDEXAMPLE/{query['X-Amz-Date'][:8]}/{REGION}/s3/aws4_request"
    assert 895 <= int(query["X-Amz-Expires"]) <= 900
    made = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(made - datetime.now(UTC)) < timedelta(seconds=10)
    assert query["X-Amz-Signature"] == signature_v4(url, query, CREDENTIALS["secret_access_key"])
    # Nothing that the client would have to send besides, such as a checksum.
    assert set(query) == {
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    }


def test_amazons_own_store_is_addressed_by_the_buckets_host_name(key):
    store = S3Storage("bundles", region=REGION, **CREDENTIALS)
    url = urlsplit(store.upload_url(key, soon()))
    assert url.netloc == f"bundles.s3.{REGION}.amazonaws.com"
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["X-Amz-Signature"] == signature_v4(url, query, CREDENTIALS["secret_access_key"])


def test_a_bundle_lies_under_the_prefix_with_its_type(s3, owner, bucket, key):
    upload(s3, key, b"code")
    found = owner.head_object(Bucket=bucket, Key=f"kept/{key}")
    assert (found["ContentLength"], found["ContentType"]) == (4, "application/gzip")
    s3.delete(key)
    assert "Contents" not in owner.list_objects_v2(Bucket=bucket, Prefix=f"kept/{key}")


def test_trying_out_whether_the_store_takes_anything_leaves_one_object_at_most(s3, owner, bucket):
    for _ in range(3):
        s3.check_writable()
    found = owner.list_objects_v2(Bucket=bucket, Prefix="kept/write-check")["Contents"]
    assert [(each["Key"], each["Size"]) for each in found] == [("kept/write-check", 0)]


def test_a_store_that_takes_nothing_says_so_at_once(s3_address):
    away = S3Storage("bundles", endpoint_url=f"http://127.0.0.1:{free_port()}", region=REGION, **CREDENTIALS)
    elsewhere = S3Storage("elsewhere", endpoint_url=s3_address, region=REGION, **CREDENTIALS)
    for store in (away, elsewhere):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            store.check_writable()
        assert time.monotonic() - began < 10


def test_a_store_that_does_not_answer_is_unavailable(key):
    store = S3Storage("bundles", endpoint_url=f"http://127.0.0.1:{free_port()}", region=REGION, **CREDENTIALS)
    for call in (store.open, store.size, store.delete, store.size_and_sha256):
        with pytest.raises(Unavailable):
            call(key)


def test_a_store_without_the_bucket_is_unavailable_and_not_an_empty_one(s3_address, key):
    store = S3Storage("elsewhere", endpoint_url=s3_address, region=REGION, **CREDENTIALS)
    with pytest.raises(Unavailable):
        store.open(key)
    with pytest.raises(Unavailable):
        store.delete(key)


# Settings


def test_without_settings_bundles_lie_in_a_folder_below_var():
    made = storage_from({}, "http://localhost:8000", lambda: SECRET)
    assert isinstance(made, FolderStorage)
    assert str(made.folder) == "var/bundles"


def test_the_folder_can_be_another_one(tmp_path):
    made = storage_from(
        {"BUNDLE_FOLDER": str(tmp_path), "S3_BUCKET": ""}, "http://localhost:8000", lambda: SECRET
    )
    assert made.folder == tmp_path


def test_with_a_bucket_bundles_lie_in_it(s3_address, bucket, key):
    settings = {
        "S3_BUCKET": bucket,
        "S3_ENDPOINT_URL": s3_address,
        "S3_REGION": REGION,
        "S3_PREFIX": "other/",
        "S3_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "S3_SECRET_ACCESS_KEY": "secret",
    }
    made = storage_from(settings, "http://localhost:8000", lambda: SECRET)
    assert f"/{bucket}/other/{key}?" in made.upload_url(key, soon())
    upload(made, key, b"code")
    assert contents(made, key) == b"code"


@pytest.mark.parametrize("half", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_credentials_is_a_wrong_setting(half):
    with pytest.raises(ValueError, match="both or neither"):
        storage_from({"S3_BUCKET": "bundles", half: "x"}, "http://localhost:8000", lambda: SECRET)


def test_a_service_with_a_folder_does_not_load_boto3(tmp_path):
    program = (
        "import sys, io, storage\nfrom datetime import datetime\n"
        f"store = storage.storage_from({{'BUNDLE_FOLDER': {str(tmp_path)!r}}}, 'http://x', lambda: b'x' * 32)\n"
        f"key = storage.new_object_key({SESSION!r})\n"
        "store.upload_url(key, datetime.now()); store.receive(key, io.BytesIO(b'x'), 1); store.delete(key)\n"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)\n"
    )
    root = os.path.dirname(os.path.dirname(storage.__file__))
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0

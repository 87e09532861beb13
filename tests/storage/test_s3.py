"""The S3 storage: presigned URLs, objects in the bucket, outages."""

import hashlib
import hmac
import time
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from bundle_stores import CREDENTIALS, REGION, failing_server, s3_at, soon, upload
from s3_server import free_port

import storage.s3
from storage import Unavailable


def signature_v4(url, query: dict[str, str]) -> str:
    """AWS Signature Version 4 of a presigned PUT, which moto does not check."""
    signed_query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in sorted(query.items())
        if name != "X-Amz-Signature"
    )
    headers = f"content-type:application/gzip\nhost:{url.netloc}\n"
    request = "\n".join(["PUT", url.path, signed_query, headers, "content-type;host", "UNSIGNED-PAYLOAD"])
    timestamp = query["X-Amz-Date"]
    scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", timestamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{CREDENTIALS['secret_access_key']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def test_a_presigned_url_is_limited_to_one_object_its_type_and_its_time(s3, s3_url, object_key):
    url = urlsplit(s3.upload_url(object_key, soon()))
    query = dict(parse_qsl(url.query))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{s3_url}/bundles/kept/{object_key}"
    signed_at = query["X-Amz-Date"]
    age = datetime.now(UTC) - datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(age.total_seconds()) < 10
    assert 895 <= int(query["X-Amz-Expires"]) <= 900
    # Nothing else, such as a checksum, that the client would have to send.
    assert query == {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"AKIDEXAMPLE/{signed_at[:8]}/{REGION}/s3/aws4_request",
        "X-Amz-Date": signed_at,
        "X-Amz-Expires": query["X-Amz-Expires"],
        "X-Amz-SignedHeaders": "content-type;host",
        "X-Amz-Signature": signature_v4(url, query),
    }


def test_amazon_s3_is_addressed_by_the_host_name_of_the_bucket(object_key):
    url = urlsplit(s3_at(None).upload_url(object_key, soon()))
    assert url.netloc == f"bundles.s3.{REGION}.amazonaws.com"
    query = dict(parse_qsl(url.query))
    assert query["X-Amz-Signature"] == signature_v4(url, query)


def test_a_bundle_is_stored_under_the_prefix_with_its_type(s3, s3_client, object_key):
    upload(s3, object_key, b"code")
    stored = s3_client.head_object(Bucket="bundles", Key=f"kept/{object_key}")
    assert (stored["ContentLength"], stored["ContentType"]) == (4, "application/gzip")
    s3.delete(object_key)
    assert "Contents" not in s3_client.list_objects_v2(Bucket="bundles", Prefix=f"kept/{object_key}")


def test_the_write_check_leaves_one_empty_object(s3, s3_client):
    for _ in range(3):
        s3.check_writable()
    stored = s3_client.list_objects_v2(Bucket="bundles", Prefix="kept/write-check")["Contents"]
    assert [(each["Key"], each["Size"]) for each in stored] == [("kept/write-check", 0)]


@pytest.fixture(params=["no server", "no bucket"])
def unavailable(request):
    if request.param == "no server":
        return s3_at(f"http://127.0.0.1:{free_port()}")
    return s3_at(request.getfixturevalue("s3_url"), bucket="elsewhere")


def test_an_unusable_store_is_unavailable_and_not_empty(unavailable, object_key):
    for call in (unavailable.open, unavailable.delete):
        with pytest.raises(Unavailable):
            call(object_key)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        unavailable.check_writable()
    assert time.monotonic() - started < 10


def test_during_an_outage_one_request_at_a_time_tries_the_store(object_key, monkeypatch):
    with failing_server() as server:
        store = s3_at(f"http://127.0.0.1:{server.server_port}")
        for _ in range(5):
            with pytest.raises(Unavailable):
                store.size(object_key)
        assert server.requests == storage.s3.MAX_ATTEMPTS
        monkeypatch.setattr(storage.s3, "monotonic", lambda: time.monotonic() + 60)
        for _ in range(5):
            with pytest.raises(Unavailable):
                store.size(object_key)
        assert server.requests == 2 * storage.s3.MAX_ATTEMPTS

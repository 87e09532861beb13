"""Bundles in a bucket of an S3-compatible store."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from storage.base import CONTENT_TYPE, Missing, Readable, Storage, Unavailable, is_object_key

# For each of at most two tries: whoever waits for the store keeps a thread from everybody else's requests.
CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 8, 2
# While the store is away one caller in so many seconds tries it, and all others are refused at once.
PAUSE_SECONDS = 5
# What `check_writable` writes; no bundle can have this key.
TRIAL = "write-check"


class S3Storage(Storage):
    """A bucket of an S3-compatible store; the client uploads straight to it.

    bucket -- exists already; nothing in it needs to be public
    prefix -- goes before each object key, such as "bundles/"
    endpoint_url, region -- as the store wants them; both None for Amazon's own with the machine's settings
    access_key_id, secret_access_key -- both None to leave it to the machine's own credentials
    """

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ):
        self.bucket = bucket
        self.prefix = prefix
        self._outage = Outage()
        self._settings = {
            "endpoint_url": endpoint_url,
            "region_name": region,
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret_access_key,
        }

    def upload_url(self, object_key: str, expires_at: datetime) -> str:
        seconds = int((expires_at - datetime.now(UTC)).total_seconds())
        with _errors():
            return self._client.generate_presigned_url(
                "put_object",
                Params=self._place(object_key) | {"ContentType": CONTENT_TYPE},
                ExpiresIn=seconds,
            )

    def open(self, object_key: str) -> Readable:
        with self._answers():
            return _Body(self._client.get_object(**self._place(object_key))["Body"])

    def size(self, object_key: str) -> int:
        with self._answers():
            return self._client.head_object(**self._place(object_key))["ContentLength"]

    def delete(self, object_key: str) -> None:
        with suppress(Missing), self._answers():
            self._client.delete_object(**self._place(object_key))

    @contextmanager
    def _answers(self) -> Iterator[None]:
        with _errors(), self._outage.noticed():
            yield

    def check_writable(self) -> None:
        """Writes the same empty object each time: who may only look at a bucket cannot store in it."""
        with _errors():
            self._impatient_client.put_object(Bucket=self.bucket, Key=f"{self.prefix}{TRIAL}", Body=b"")

    def _place(self, object_key: str) -> dict[str, str]:
        if not is_object_key(object_key):
            raise Missing("There is no such bundle.")
        return {"Bucket": self.bucket, "Key": self.prefix + object_key}

    @cached_property
    def _client(self) -> Any:
        return self._client_with(CONNECT_SECONDS, READ_SECONDS, TRIES)

    @cached_property
    def _impatient_client(self) -> Any:
        return self._client_with(connect_timeout=2, read_timeout=3, attempts=1)

    def _client_with(self, connect_timeout: int, read_timeout: int, attempts: int) -> Any:
        # Imported here since it takes 25 MiB, which a service with a folder does not need.
        import boto3
        from botocore.config import Config

        config = Config(
            signature_version="s3v4",
            # Amazon's host name of the bucket in its region: the one without a region may answer a PUT with a
            # redirect, which the client cannot follow. Other stores seldom have a host name for each bucket.
            s3={"addressing_style": "path" if self._settings["endpoint_url"] else "virtual"},
            # Newer checksums are unknown to some stores, and the client that uploads computes none.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        return boto3.session.Session().client("s3", config=config, **self._settings)


class Outage:
    """Whether the store was away when it was asked last, and when it may be asked again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ask_at: float | None = None

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Ask the store inside; Unavailable at once while it is away and somebody else asks."""
        with self._lock:
            if self._ask_at is not None:
                if time.monotonic() < self._ask_at:
                    raise Unavailable("The store of bundles did not answer a moment ago.")
                self._ask_at = time.monotonic() + CONNECT_SECONDS + READ_SECONDS
        try:
            yield
        except Exception as error:
            self._ask_at = time.monotonic() + PAUSE_SECONDS if _is_away(error) else None
            raise
        self._ask_at = None


def _is_away(error: Exception) -> bool:
    """Whether the store gave no answer, or said itself that it cannot; a refusal is an answer."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, BotoCoreError)


class _Body:
    """The body of a store's answer, whose errors are Unavailable."""

    def __init__(self, body: Any):
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        with _errors():
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()


@contextmanager
def _errors() -> Iterator[None]:
    """boto3's errors as ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404 and not _no_bucket(error):
            raise Missing("There is no such bundle.") from None
        raise Unavailable("The store of bundles refuses this service.") from error
    except BotoCoreError as error:
        raise Unavailable("The store of bundles does not answer.") from error


def _no_bucket(error: Any) -> bool:
    return error.response.get("Error", {}).get("Code") == "NoSuchBucket"

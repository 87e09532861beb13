import boto3
import pytest
from bundle_stores import REGION, SESSION, folder_at, s3_at

from storage import new_object_key
from tests.servers import s3_server


@pytest.fixture(scope="session")
def s3_url():
    with s3_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3_client(s3_url):
    """The client of the `bundles` bucket's owner."""
    credentials = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything"}
    client = boto3.client("s3", endpoint_url=s3_url, region_name=REGION, **credentials)
    client.create_bucket(Bucket="bundles", CreateBucketConfiguration={"LocationConstraint": REGION})
    yield client
    client.close()


@pytest.fixture(scope="session")
def s3(s3_url, s3_client):
    return s3_at(s3_url, prefix="kept/")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bundles").mkdir()
    return folder_at(tmp_path / "bundles")


@pytest.fixture(params=["folder", "s3"])
def store(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def object_key():
    return new_object_key(SESSION)

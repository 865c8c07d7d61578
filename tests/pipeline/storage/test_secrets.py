"""Secrets of URIs: none is written, and none decides which picture is meant."""

import pickle
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.storage import StorageError, lasting, without_secrets
from pipeline.storage.secrets import HIDDEN

SECRET = "CANARY/se+cr=et"  # AWS's secret keys have slashes
Q = quote(SECRET, safe="")

SIGNED = {
    "S3, version 4": (
        "https://b.s3.amazonaws.com/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
        f"{Q}%2F20261101%2Feu&X-Amz-Date=20261101T000000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host"
        f"&X-Amz-Security-Token={Q}&X-Amz-Signature={Q}",
        "https://b.s3.amazonaws.com/a.png",
    ),
    "S3, an older version of the object": (
        f"https://b.s3.amazonaws.com/a.png?versionId=abc&X-Amz-Signature={Q}&x-id=GetObject",
        "https://b.s3.amazonaws.com/a.png?versionId=abc&x-id=GetObject",
    ),
    "S3, version 2": (
        f"https://b.s3.amazonaws.com/a.png?AWSAccessKeyId={Q}&Signature={Q}&Expires=1798000000",
        "https://b.s3.amazonaws.com/a.png",
    ),
    "Google": (
        f"https://storage.googleapis.com/b/a.png?X-Goog-Algorithm=G&X-Goog-Credential={Q}&X-Goog-Signature={Q}",
        "https://storage.googleapis.com/b/a.png",
    ),
    "Google, older": (
        f"https://storage.googleapis.com/b/a.png?GoogleAccessId={Q}&Expires=17&Signature={Q}",
        "https://storage.googleapis.com/b/a.png",
    ),
    "Azure": (
        f"https://x.blob.core.windows.net/c/a.png?sv=2024-11-04&st=2026&se=2027&sr=b&sp=r&spr=https&sig={Q}",
        "https://x.blob.core.windows.net/c/a.png",
    ),
    "CloudFront": (
        f"https://d1.cloudfront.net/a.png?width=640&Expires=17&Policy={Q}&Signature={Q}&Key-Pair-Id={Q}",
        "https://d1.cloudfront.net/a.png?width=640",
    ),
    "Alibaba": (
        f"https://b.oss.aliyuncs.com/a.png?x-oss-process=image/resize,w_10&x-oss-signature={Q}&x-oss-credential={Q}",
        "https://b.oss.aliyuncs.com/a.png?x-oss-process=image/resize,w_10",
    ),
    "Tencent": (
        f"https://b.cos.myqcloud.com/a.png?q-sign-algorithm=sha1&q-ak={Q}&q-sign-time=1&q-signature={Q}",
        "https://b.cos.myqcloud.com/a.png",
    ),
    "user and password": (f"https://me:{Q}@host/a.png", "https://host/a.png"),
    "a user that is a token": (f"https://{Q}@host:8443/a.png?x=1", "https://host:8443/a.png?x=1"),
    "an @ in the password": (f"https://me:a@{Q}@host/a@b.png", "https://host/a@b.png"),
    "keys of a bucket": (f"s3://AKIA:{Q}@bucket/a@b.png", "s3://bucket/a@b.png"),
    "keys of a bucket, as they are": (f"s3://AKIA:{SECRET}@bucket/a.png", "s3://bucket/a.png"),
    "another scheme": (f"sftp://me:{Q}@host/a.png", "sftp://host/a.png"),
    "both": (f"https://me:{Q}@host/a.png?X-Amz-Signature={Q}#top", "https://host/a.png#top"),
    "in capitals": (f"HTTPS://ME:{Q}@HOST/A.PNG?X-AMZ-SIGNATURE={Q}", "HTTPS://HOST/A.PNG"),
    "a name in percent signs": (f"https://host/a.png?X%2DAmz%2DSignature={Q}", "https://host/a.png"),
}


@pytest.mark.parametrize(("uri", "plain"), SIGNED.values(), ids=SIGNED)
def test_signatures_and_passwords_neither_are_written_nor_decide_what_is_meant(uri: str, plain: str) -> None:
    assert without_secrets(uri) == plain
    assert lasting(uri) == plain
    for text in (
        f"cannot read {uri}: it does not exist",
        f"url='{uri}', status=403",
        f'{{"init": "{uri}"}}',
        f"({uri}).",
    ):
        assert "CANARY" not in without_secrets(text)
        assert without_secrets(text) == text.replace(uri, plain)


KEYS = {
    "https://host/a.png?token={}": "https://host/a.png?token=***",
    "https://host/a.png?alt=media&token={}&x=1": "https://host/a.png?alt=media&token=***&x=1",
    "https://host/a.png?api_key={}": "https://host/a.png?api_key=***",
    "https://host/a.png?X-Api-Key={}": "https://host/a.png?X-Api-Key=***",
    "https://host/a.png#access_token={}": "https://host/a.png#access_token={}",
    "https://host/a.png?x=1#access_token={}": "https://host/a.png?x=1#access_token=***",
    "https://host/a.png?user=me&password={}": "https://host/a.png?user=me&password=***",
}


@pytest.mark.parametrize("form", [form for form in KEYS if "png#" not in form])
def test_a_key_is_not_written_but_may_say_which_picture_is_meant(form: str) -> None:
    one, other = form.format(Q), form.format("another")
    assert without_secrets(one) == KEYS[form] == without_secrets(other)
    assert lasting(one) == one
    assert lasting(other) == other


PLAIN = (
    *("/photos/a?token=b.png", "a b/c@d.png", "file:///photos/a:b@c.png", "s3://bucket/a.png", "memory://a/b"),
    *("https://host:8443/a@b.png", "http://[::1]:8000/a@b.png", "https://host/a.png?width=640&se=1&sp=2#sha256=ab"),
    *(
        "https://host/a.png?key=uploads/1.jpg",
        "https://host/a.png?expires=17&policy=x",
        "abfs://container@account/a.png",
    ),
    *("s3://bucket/what?token=x.png", "s3://bucket/a?versionId=x", "https://host/", "https://host/?", "://", "?a=b"),
    *("see https://host/a.png, or write to me@example.com?", "https://host/a.png?a=b&&c"),
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_has_no_secret_stays_as_it_is(text: str) -> None:
    assert lasting(text) == text
    assert without_secrets(text) == text


@given(st.text())
def test_text_without_addresses_stays_as_it_is(text: str) -> None:
    if "://" not in text:
        assert without_secrets(text) == text
        assert lasting(text) == text


PIECE = st.text(st.sampled_from("abc/?&=#@:.%+- '\"\\<>()[]{},;\n*~é"), max_size=8)


@given(
    st.lists(st.sampled_from(["://", "https://", "s3://", "sig=", "token=", "X-Amz-Signature="]) | PIECE).map("".join)
)
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    clean = without_secrets(text)
    assert without_secrets(clean) == clean
    assert lasting(lasting(text)) == lasting(text)


PASSWORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(
    lambda text: f"CANARY{text}CANARY"
)


@given(user=PASSWORD, password=PASSWORD, value=PASSWORD, place=st.integers(0, 2))
def test_no_part_of_a_secret_is_left(user: str, password: str, value: str, place: int) -> None:
    parts = ["width=64", "height=48"]
    parts.insert(place, f"X-Amz-Signature={quote(value, safe='')}")
    host = f"https://{quote(user, safe='')}:{quote(password, safe='')}@host/a b.png"
    assert "CANARY" not in without_secrets(f"{host}?{'&'.join(parts)}")
    assert lasting(f"{host}?{'&'.join(parts)}") == "https://host/a b.png?width=64&height=48"


def test_a_picture_that_travels_is_known_by_its_path_in_its_folder() -> None:
    root = "/tmp/ray/session_{}/runtime_resources/working_dir_files/_ray_pkg_{}"
    one, other = root.format("2026-11-01_1", "a1"), root.format("2026-11-02_2", "b2")
    assert lasting(f"{one}/photos/a.png") == lasting(f"{other}/photos/a.png") == "photos/a.png"
    assert lasting(f"file://{one}/photos/a.png") == "photos/a.png"
    assert lasting(f"{one}/photos/a.png") != lasting(f"{one}/other/a.png")


def test_errors_have_no_secrets_on_whatever_way_they_travel() -> None:
    error = StorageError(f"cannot read https://me:{Q}@host/a.png?X-Amz-Signature={Q}")
    assert str(pickle.loads(pickle.dumps(error))) == "cannot read https://host/a.png"
    with pytest.raises(StorageError) as caught:
        storage.read_bytes(f"memory://me:{Q}@nowhere/a.png?X-Amz-Signature={Q}")
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


def test_every_text_of_a_value_is_cleaned() -> None:
    uri = f"https://me:{Q}@host/a.png"
    value = {"a": uri, "b": [1, None, (uri, 2.0)], "c": {"d": True}}
    assert storage.each_text(value) == {
        "a": "https://host/a.png",
        "b": [1, None, ["https://host/a.png", 2.0]],
        "c": {"d": True},
    }
    assert HIDDEN not in str(storage.each_text(value))

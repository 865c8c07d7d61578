"""What S3 deletes by the thousand, and uploads in parts that were never completed, whose parts it keeps and bills."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.storage._store import IsOurs

AT_ONCE = 1000
"""Objects that S3 deletes with one request."""

_UNKNOWN = ("NotImplemented", "501", "MethodNotAllowed", "405")
"""Codes by which stores with the protocol of S3 refuse requests that they do not know."""

_FORBIDDEN = ("AccessDenied", "403")
"""Codes of what a user may not do. Ceph's gateway takes the right to delete below a prefix as none to delete many."""

Call = Callable[..., Mapping[str, Any]]
"""Calls a method of the S3 client, given its name and its parameters."""


class NotDeleted(OSError):
    """One of many objects that a request should have deleted was not.

    Attributes:
        response: what the store says of it, in the form of its other answers.
    """

    def __init__(self, refused: Mapping[str, Any]) -> None:
        super().__init__(f"{refused.get('Code')}: {refused.get('Message')} ({refused.get('Key')})")
        self.response = {"Error": refused}


def delete(call: Call, bucket: str, keys: Sequence[str]) -> None:
    """Delete at most a thousand objects in one request, or one by one where a store does not know or allow that."""
    try:
        deleted = call(
            "delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
    except OSError as error:
        if code_of(error) not in (*_UNKNOWN, *_FORBIDDEN):
            raise
        for key in keys:
            call("delete_object", Bucket=bucket, Key=key)
        return
    for refused in deleted.get("Errors", []):
        raise NotDeleted(refused)


def abort_uploads(call: Call, bucket: str, prefix: str, *, is_ours: IsOurs, before: datetime | None = None) -> None:
    """Abort uploads in parts.

    Args:
        call: calls the S3 client.
        bucket: that they are in.
        prefix: that the keys of their objects begin with.
        is_ours: tells whether an upload may be aborted, given the key of its object.
        before: when it must have begun; None: at any time.
    """
    following = dict[str, str]()
    while True:
        try:
            answer = call("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **following)
        except OSError as error:
            if code_of(error) in _UNKNOWN:
                return
            raise
        for upload in answer.get("Uploads", []):
            if is_ours(upload["Key"]) and (before is None or upload["Initiated"] < before):
                with contextlib.suppress(FileNotFoundError):  # it was completed or aborted meanwhile
                    call("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        if not answer.get("IsTruncated"):
            return
        following = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}


def code_of(error: BaseException) -> str | None:
    """Return the error code in the answer of the store that s3fs turned into an error; None where there is none."""
    response = getattr(error.__cause__, "response", None)
    return str(response["Error"].get("Code")) if isinstance(response, Mapping) else None

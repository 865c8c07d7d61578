"""What a failure says of the exception that it stands for."""

import pytest

from pipeline.planning import Failure
from pipeline.storage import NotFound, StorageError


@pytest.mark.parametrize("error", [NotFound("it does not exist"), StorageError("it does not exist")])
def test_whatever_storage_refuses_has_one_class_in_the_results(error: Exception) -> None:
    assert Failure.of(error) == Failure("StorageError", "it does not exist")


def test_other_errors_keep_their_class_and_tell_what_was_done() -> None:
    assert Failure.of(ValueError("no"), "decoding") == Failure("ValueError", "decoding: no")

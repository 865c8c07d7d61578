"""Names of attempts' files, as they lie on disk."""

import pytest

from pipeline.recovery.attempt import Attempt, AttemptName, work_of

ROWS = (("b", "2"), ("a", "1"))


def test_a_name_is_what_it_was_in_every_version() -> None:
    name = AttemptName.new("optimise", ROWS)
    assert name.work == work_of("optimise", reversed(ROWS)) == "optimise-ddc7523b594d0dff"
    assert name.in_folder("/out/ledger") == f"/out/ledger/optimise-ddc7523b594d0dff-{name.unique}.json"
    assert len(name.unique) == 32


@pytest.mark.parametrize("with_run", [False, True])
@pytest.mark.parametrize("folder", ["/out/ledger", "s3://bucket/out/ledger", "memory://out/ledger"])
def test_a_name_is_parsed_as_it_was_made(folder: str, with_run: bool) -> None:
    name = AttemptName("fetch-0123", "abcd", with_run)
    uri = name.in_folder(folder)
    assert uri.rpartition("/")[2] == ("unclear-" if with_run else "") + "fetch-0123-abcd.json"
    assert AttemptName.parse(uri) == name


def test_other_names_can_be_taken_apart() -> None:
    assert AttemptName.parse("/out/ledger/notes.json").work == ""
    assert AttemptName.parse("notes") == AttemptName("", "notes")


def test_an_attempt_is_read_as_it_was_written() -> None:
    attempt = Attempt("/out/ledger/x-1-2.json", ROWS, "x", "run", "host", 7, "2026-01-01T00:00:00+00:00")
    assert Attempt.from_json(attempt.uri, attempt.to_json()) == attempt
    assert attempt.ended_with_run().uri == "/out/ledger/unclear-x-1-2.json"
    assert attempt.ended_with_run().ended_with_run() == attempt.ended_with_run()

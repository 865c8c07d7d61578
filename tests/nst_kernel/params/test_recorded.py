"""What earlier versions made of some parameters, which ids, fingerprints and saved states depend on."""

import copy
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from nst_kernel.params import PARAMETERS, PRESETS, ParamError, Problem, StyleParams

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))
"""Made by the version whose rules were written by hand: digests of parameters that it accepted, and its messages, to
which the nearest of a few words was added since."""

REQUESTED = [
    (values, message and message.replace("{names}", ", ".join(PARAMETERS)).replace("{presets}", " or ".join(PRESETS)))
    for values, message in RECORDED["requested"]
]
"""Values, and the message of what is refused; lists that grow are left out of what is recorded."""


@pytest.mark.parametrize("entry", RECORDED["accepted"])
def test_parameters_serialise_to_the_bytes_of_earlier_versions(entry: dict[str, Any]) -> None:
    params = StyleParams.of(entry["values"], defaults=entry["defaults"])
    assert hashlib.sha256(json.dumps(params.to_json()).encode()).hexdigest()[:32] == entry["json"]
    shared = dict(zip((name for name, p in PARAMETERS.items() if p.graph), params.graph, strict=True))
    recorded = {name: value for name, value in shared.items() if not PARAMETERS[name].later}
    assert json.loads(json.dumps(recorded)) == entry["graph"]
    assert [list(scale) for scale in params.schedule(params.size)] == entry["schedule"]


@pytest.mark.parametrize("entry", RECORDED["accepted"][::6])
def test_parameters_survive_copies_and_pickles(entry: dict[str, Any]) -> None:
    params = StyleParams.of(entry["values"], defaults=entry["defaults"])
    for twin in (pickle.loads(pickle.dumps(params)), copy.deepcopy(params), StyleParams(**vars_of(params))):
        assert twin == params
        assert hash(twin) == hash(params)


def vars_of(params: StyleParams) -> dict[str, Any]:
    """Return every parameter by its name."""
    return {name: getattr(params, name) for name in PARAMETERS}


def test_messages_are_those_of_earlier_versions() -> None:
    for values, message in REQUESTED:
        try:
            StyleParams.of(values)
            refused = None
        except ParamError as error:
            refused = str(error)
        assert refused == message, values


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_alone_is_parsed_as_in_a_request(name: str) -> None:
    declared = PARAMETERS[name]
    assert declared.parse(declared.default) == declared.default
    for values, message in REQUESTED:
        if list(values) == [name] and values[name] is not None:
            refused = isinstance(declared.parse(values[name]), Problem)
            contradicted = message is not None and declared.expected not in message
            assert refused is (message is not None and not contradicted), values

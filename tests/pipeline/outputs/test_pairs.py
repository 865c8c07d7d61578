"""Pairs in columns are a mapping like any other."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.outputs import Pairs

TEXTS = st.text(max_size=3)


@given(st.lists(st.tuples(TEXTS, TEXTS)), st.lists(TEXTS), st.booleans())
def test_pairs_are_looked_up_as_in_a_dictionary(pairs: list[tuple[str, str]], keys: list[str], distinct: bool) -> None:
    known = dict(pairs)
    if distinct:
        pairs = [*known.items()]
    columns = Pairs(*(pa.array([pair[place] for pair in pairs], pa.string()) for place in (0, 1)), distinct=distinct)
    assert columns == known == Pairs.of(known)
    assert columns.look_up(pa.array(keys, pa.string())).to_pylist() == [known.get(key) for key in keys]
    assert columns.among(keys) == {key: known[key] for key in keys if key in known}
    assert columns.has_values(pa.array(keys, pa.string())).to_pylist() == [
        any(key == value for _, value in pairs) for key in keys
    ]

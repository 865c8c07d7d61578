"""The recorded terminal: what was typed and what was written, as one SVG."""

import xml.etree.ElementTree as ElementTree

from jobs.showcase.__main__ import recording
from nst_kernel import ALGORITHM_VERSION


def test_a_recording_has_the_command_and_what_it_wrote() -> None:
    svg = recording(["nst --version"])
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "$ nst --version" in text
    assert f"algorithm {ALGORITHM_VERSION}" in text
    assert "\x1b" not in text

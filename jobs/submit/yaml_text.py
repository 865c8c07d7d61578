"""YAML as people read it: everything written out, and texts of several lines as blocks."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice, without anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        """Return that nothing is replaced by a reference to where it stood before."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    """Return the YAML node of a text, which is a block where the text has several lines."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def in_blocks(value: Any) -> str:
    """Return a value as YAML, in the order of its fields."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text

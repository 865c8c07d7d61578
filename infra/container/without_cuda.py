"""Split a lock file into what stays and what torch's build for CPUs replaces: `without_cuda.py LOCK STAYS REPLACED`.

STAYS has its digests; REPLACED has versions alone, since another index has other files. Packages that only CUDA needs
are in neither.
"""

import re
import sys
from pathlib import Path

REPLACED = ("torch", "torchvision")
CUDA = re.compile(r"nvidia-|cuda-|triton$")


def split(lock: str) -> tuple[str, str]:
    """Return the requirements that stay, and those that are replaced."""
    requirements = re.findall(r"(?m)^[A-Za-z0-9].*(?:\n[ \t].*)*", lock)
    named = [(re.split(r"[=;\s]", text, maxsplit=1)[0], text) for text in requirements]
    stays = [text for name, text in named if name not in REPLACED and not CUDA.match(name)]
    versions = [text.split()[0] for name, text in named if name in REPLACED]
    return "\n".join(stays) + "\n", "\n".join(versions) + "\n"


if __name__ == "__main__":
    source, *targets = map(Path, sys.argv[1:])
    for target, text in zip(targets, split(source.read_text("utf-8")), strict=True):
        target.write_text(text, encoding="utf-8")

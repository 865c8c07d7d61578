"""Pictures on the way of a row, beside its picture: written, found, and deleted when they are not of its last run."""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from pipeline import images, layout, storage
from pipeline.outputs.pictures import write_own

EVALUATION = "evaluation"
"""Key of the metadata by which a picture on the way, or an animation of them, is known."""


@dataclass(frozen=True)
class Steps:
    """The pictures on the way of a row.

    Attributes:
        picture: URI of the row's picture.
        id: of the row.
        inside: the folder that none of them is led out of by a link; None: whoever named the picture writes over what
            is there, as for the picture.
    """

    picture: str
    id: str
    inside: str | None

    @classmethod
    def of_run(cls, output: str, name: str, id: str) -> Self:
        """Return the pictures on the way of a row of a run.

        Args:
            output: of the run.
            name: of the picture, below images/.
            id: of the row.
        """
        return cls(layout.picture_file(output, name), id, layout.images_folder(output))

    def metadata(self, evaluation: int) -> dict[str, str]:
        """Return what a file carries that shows the picture after so many evaluations."""
        return {"id": self.id, EVALUATION: str(evaluation)}

    def write(self, evaluation: int, data: bytes) -> None:
        """Write a picture on the way.

        Args:
            evaluation: after which it was taken.
            data: the bytes of a PNG with its `metadata`.

        Raises:
            OutputTaken: if there is another file in its place, or a link.
            StorageError: if it cannot be written.
        """
        self._write(layout.frame_file(self.picture, evaluation), data)

    def write_animation(self, format: str, data: bytes) -> None:
        """Write the animation, as `write` does a picture."""
        self._write(layout.animation_file(self.picture, format), data)

    def _write(self, uri: str, data: bytes) -> None:
        if self.inside is None:
            storage.write_bytes(uri, data)
        else:
            storage.check_inside(uri, self.inside)
            write_own(uri, data, id=self.id)

    def frame(self, evaluation: int) -> str:
        """Return the URI of a picture on the way, to be read.

        Raises:
            StorageError: if a link leads out of the folder that it must be in.
        """
        return self._checked(layout.frame_file(self.picture, evaluation))

    def animation(self, format: str) -> str:
        """Return the URI of the animation, as `frame` does that of a picture."""
        return self._checked(layout.animation_file(self.picture, format))

    def _checked(self, uri: str) -> str:
        if self.inside is not None:
            storage.check_inside(uri, self.inside, follow=True)
        return uri

    def tidied(self, evaluations: Sequence[int]) -> list[int]:
        """Return which of the pictures on the way are there, and delete others that earlier computations left.

        Args:
            evaluations: after which there should be pictures.

        Raises:
            StorageError: if the folder cannot be listed.
        """
        try:
            there = {_name(entry.uri): entry.uri for entry in storage.walk(layout.steps_folder(self.picture))}
        except storage.NotFound:
            return []
        names = {_name(layout.frame_file(self.picture, each)): each for each in evaluations}
        self._delete([uri for name, uri in there.items() if name not in names and layout.is_step(uri)])
        return [evaluation for name, evaluation in names.items() if name in there]

    def _delete(self, uris: Collection[str]) -> None:
        """Delete files that runs have written for this row; what cannot be deleted stays and does no harm."""
        for uri in uris:
            with contextlib.suppress(storage.StorageError, images.ImageError):
                carried = images.read_metadata(storage.read_bytes(uri))
                if EVALUATION in carried and (self.inside is None or carried.get("id") == self.id):
                    storage.remove(uri, inside=self.inside)


def evaluations_kept(save_every: int, iterations: int) -> list[int]:
    """Return after which evaluations a row keeps pictures: every so many, and the last, which shows the result.

    Args:
        save_every: evaluations between two of them; 0: it keeps none.
        iterations: evaluations that it made.
    """
    if not save_every:
        return []
    return list(dict.fromkeys((*range(save_every, iterations + 1, save_every), iterations)))


def _name(uri: str) -> str:
    """Return the last part of a URI."""
    return uri.rpartition("/")[2]

"""What a job of an archive may say."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from pipeline import storage
from pipeline.manifest import each_of
from pipeline.specs import globs
from pipeline.specs.fields import NamedStyles, Pattern, Section, Text, as_option


def _with_a_month(value: object) -> object:
    """Refuse a bare number, which pydantic would read as seconds since 1970 and not as a year."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value):
        raise ValueError("a date such as 2026-01-31")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_with_a_month),
    AfterValidator(lambda moment: moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)),
    WithJsonSchema({"type": "string", "examples": ["2026-01-31", "2026-01-31T12:00:00Z"]}),
]
"""A time; a day is its first moment, and without a zone it is UTC."""


class ArchiveSpec(Section):
    """Which photos of an archive get which styles, and how results are called and encoded."""

    photos: Pattern = Field(description="A folder, whose pictures are taken, or a pattern such as photos/**/*.jpg.")
    styles: NamedStyles = Field(
        description="Style pictures: a path, a list of them, or names with paths; of a mixture, several."
    )
    choose: Literal["all", "round-robin", "random"] = Field(
        "all", description="Of several styles, each photo gets all, the next in turn, or one by chance."
    )
    seed: int = Field(0, ge=0, description="Of the choice by chance.")
    include: tuple[Text, ...] = Field((), description="Take only photos whose path fits one of these patterns.")
    exclude: tuple[Text, ...] = Field((), description="Leave out photos whose path fits one of these patterns.")
    extensionless: bool = Field(
        False, description="Take files without an extension too, where their first bytes are those of a picture."
    )
    min_bytes: int | None = Field(None, ge=0, description="Leave out smaller files.")
    max_bytes: int | None = Field(None, ge=0, description="Leave out larger files.")
    after: Moment | None = Field(None, description="Leave out files last changed before this time, UTC.")
    before: Moment | None = Field(None, description="Leave out files last changed at this time or later, UTC.")
    format: Literal["keep", "png", "jpg", "webp", "tif", "avif"] = Field(
        "keep", description="Of results; keep: as the photo if that is PNG, JPEG or WebP, else PNG."
    )
    quality: int = as_option("quality")
    strip: bool = Field(False, description="Leave out the photo's date, camera, place, caption, rating and keywords.")
    style_folders: bool | None = Field(
        None, description="Whether results are below a folder for each style; by default if photos may get several."
    )

    @property
    def root(self) -> str:
        """The folder that contains all photos, and to which their paths and names are relative."""
        root, pattern = globs.split(self.photos)
        return storage.parent(root) if pattern is None and globs.is_picture(root) else root

    @property
    def pattern(self) -> str:
        """What paths below the root must fit."""
        root, pattern = globs.split(self.photos)
        return pattern or (root.rpartition("/")[2] if globs.is_picture(root) else "**")

    @property
    def by_style(self) -> bool:
        """Whether the style's name is the first folder of a result's name."""
        several = len(self.styles) > 1 or any(
            globs.is_glob(uri) and len(each_of("style", uri)) == 1 for uri in self.styles.values()
        )
        return self.choose == "all" and several if self.style_folders is None else self.style_folders

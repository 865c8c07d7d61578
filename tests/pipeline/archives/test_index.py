"""The index of an archive, as its README describes it."""

from pipeline.archives import index
from tests.support import REPOSITORY
from tests.support.generated import check_section, table


def test_the_readme_has_every_column() -> None:
    rows = [(f"`{field.name}`", field.type, field.metadata[b"doc"].decode()) for field in index.SCHEMA]
    readme = REPOSITORY / "pipeline" / "archives" / "README.md"
    check_section(readme, "index", table(["column", "type", "what it holds"], rows))

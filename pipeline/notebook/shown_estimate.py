"""An estimate that a notebook shows as a table."""

from pipeline.flow import Estimate
from pipeline.notebook import html


class ShownEstimate(Estimate):
    """What a run would come to, shown as HTML where a notebook displays it."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html.of_estimate(self)

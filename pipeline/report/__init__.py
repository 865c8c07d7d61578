"""The page that a person opens next morning: a static folder, from disk or object storage, with no server."""

from pipeline.report.page import write_report

__all__ = ["write_report"]

"""The report of a run: a static page that opens from disk or object storage, with no server."""

from pipeline.report.beside import write_report_beside
from pipeline.report.page import write_report
from pipeline.report.serve import Served

__all__ = ["Served", "write_report", "write_report_beside"]

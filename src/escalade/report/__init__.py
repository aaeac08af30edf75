"""The report: a page that shows what a run found, and how to check every number of it. No torch."""

from escalade.report.page import write_report

__all__ = ["write_report"]

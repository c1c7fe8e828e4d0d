"""The report: runs and studies as one HTML file that opens offline."""

from hybridq.reports.build import report

__all__ = ["report"]

"""The report of a run: one HTML file that works without a network."""

from tacit.reporting.gallery import Gallery, load_gallery, make_gallery
from tacit.reporting.report import write_report

__all__ = ["Gallery", "load_gallery", "make_gallery", "write_report"]

"""One HTML page that answers for every clip: its scripts evaluate closed forms exactly."""

from .html_page import page, require_page

__all__ = ["page", "require_page"]

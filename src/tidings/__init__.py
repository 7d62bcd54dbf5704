"""Tidings: one HTTP call, delivered over the right channel, and known."""

__version__ = "0.1.0"

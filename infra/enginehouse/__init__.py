"""Enginehouse: declarative deployment of LLM inference engines on machines people own."""

__version__ = "0.1.0"

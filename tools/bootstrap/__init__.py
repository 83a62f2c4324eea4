"""Installs what Enginehouse needs, outside the clone, and drives the first deployment.

Standard library only: it runs before the virtual environment exists.
"""

"""Tongban (通办): data runs errands instead of people."""

__version__ = "0.1.0"

"""The city of the node's tests, for those who kill its nodes."""

from tests.node.conftest import asker, place

__all__ = ["asker", "place"]

"""hibari, the bundled voice."""

from speedd.engines.hibari.engine import FACTORY

__all__ = ["FACTORY"]

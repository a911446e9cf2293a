from tests.support.managers import clock, store

__all__ = ["clock", "store"]

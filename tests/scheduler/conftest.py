from tests.support.managers import clock, heard, make_manager, manager, project, store

__all__ = ["clock", "heard", "make_manager", "manager", "project", "store"]

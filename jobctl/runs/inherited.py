"""Connections that a forked child inherited from its parent."""


def keep_for_good(connection: object) -> None:
    """Never let a connection be freed in this process, not even at the interpreter's exit.

    It belongs to the parent: a close here would end a server's session, or drop SQLite's locks and its log,
    under the parent's hands.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

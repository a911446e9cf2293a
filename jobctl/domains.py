"""Domain names as DNS has them, by IDNA 2008: ``faß.de`` is not ``fass.de``, as Python's own codec has it."""


def ascii_domain(name: str) -> str:
    """A domain in ASCII; letters beyond it are mapped and encoded as browsers do (UTS 46, not transitional).

    Raises:
        ValueError: no domain can be called so.
    """
    if name.isascii():
        return name
    import idna

    return idna.encode(name, uts46=True).decode()

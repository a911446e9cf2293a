"""``@value``: immutable values, as by ``@dataclass(frozen=True)``, created in a tenth of the time.

``dataclasses`` compiles six methods of each class at its import, which would be 10 to 20 % of the time that ``jobctl status``
may take. Here ``__init__`` is compiled for the first value of a class; the other methods are shared.
"""

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from inspect import Signature, signature
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make the values of a class immutable. It remains a dataclass for ``fields``, ``replace``, ``asdict`` and ``match``."""
    made: Any = dataclass(init=False, repr=False, eq=False)(cls)

    def first(self: Any, *args: Any, **kwargs: Any) -> None:
        _compile(made)
        made.__init__(self, *args, **kwargs)

    made.__init__, made.__signature__ = first, _Signature()
    made.__eq__, made.__hash__ = _comparing(attrgetter(*(each.name for each in fields(made) if each.compare)))
    made.__repr__, made.__setattr__, made.__delattr__ = _repr, _setattr, _delattr
    return cls


def _compile(made: Any) -> None:
    """Give a class its ``__init__``."""
    names: dict[str, Any] = {"_missing": MISSING}
    parameters, body, own = [], [], fields(made)
    for each in own:
        parameter, source = each.name, each.name
        if each.default is not MISSING:
            names[f"_{each.name}"] = each.default
            parameter += f"=_{each.name}"
        elif each.default_factory is not MISSING:
            names[f"_{each.name}"] = each.default_factory
            parameter += "=_missing"
            source = f"_{each.name}() if {each.name} is _missing else {each.name}"
        parameters.append(parameter)
        body.append(f" _own[{each.name!r}] = {source}\n")
    # written to the dictionary: __setattr__ refuses, and a call of object.__setattr__ a field takes three times as long
    method = f"def __init__(self, {', '.join(parameters)}):\n _own = self.__dict__\n{''.join(body)}"
    # compiled first: where Python executes a text, it forgets that the program ends because of a KeyboardInterrupt
    exec(compile(method, "<value>", "exec"), names)  # noqa: S102 - contains only field names
    made.__init__ = names["__init__"]
    made.__init__.__qualname__, made.__init__.__module__ = f"{made.__qualname__}.__init__", made.__module__
    made.__init__.__annotations__ = {**{each.name: each.type for each in own}, "return": None}


class _Signature:
    """The signature of a class whose ``__init__`` may not be compiled yet."""

    def __get__(self, instance: object, owner: Any) -> Signature:
        _compile(owner)
        parameters = list(signature(owner.__init__).parameters.values())[1:]
        return Signature(parameters)


def _comparing(key: Callable[[Any], Any]) -> tuple[Callable[..., bool], Callable[..., int]]:
    def equal(self: Any, other: object) -> bool:
        return bool(key(self) == key(other)) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return equal, hashed


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
    return f"{self.__class__.__qualname__}({shown})"


def _setattr(self: Any, name: str, value: object) -> NoReturn:
    del self, value
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    del self
    raise FrozenInstanceError(f"cannot delete field {name!r}")

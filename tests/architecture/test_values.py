"""What ``@value`` makes is what ``@dataclass(frozen=True)`` makes."""

import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from jobctl.value_class import value


@value
class Ours:
    """A value.

    Attributes:
        note: not compared.
    """

    name: str
    size: int = 3
    parts: list[int] = field(default_factory=list)
    note: str | None = field(default=None, compare=False)

    @property
    def double(self) -> int:
        return 2 * self.size


@dataclass(frozen=True)
class Theirs:
    name: str
    size: int = 3
    parts: list[int] = field(default_factory=list)
    note: str | None = field(default=None, compare=False)


@value
class One:
    """With one field."""

    name: str


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_it_is_a_dataclass(kind: Any) -> None:
    assert is_dataclass(kind)
    behaves(kind)


def behaves(kind: Any) -> None:
    one = kind("a", parts=[1], note="x")

    assert repr(one) == f"{kind.__name__}(name='a', size=3, parts=[1], note='x')"
    assert one == kind("a", 3, [1]) == replace(one, note="y")
    assert one != kind("b", 3, [1])
    assert one != ("a", 3, [1])
    assert asdict(one) == {"name": "a", "size": 3, "parts": [1], "note": "x"}
    assert [each.name for each in fields(kind)] == ["name", "size", "parts", "note"]
    assert pickle.loads(pickle.dumps(one)) == one
    assert kind("a").parts is not kind("a").parts
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "b"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'size'"):
        del one.size
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        kind()
    with pytest.raises(TypeError, match="unexpected keyword argument 'nmae'"):
        kind(nmae="a")


def test_values_of_hashable_parts_are_hashable_and_others_are_not() -> None:
    assert {One("a"), One("a"), One("b")} == {One("b"), One("a")}
    other: object = Ours("a")
    assert One("a") != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a"))
    match Ours("a", 4):
        case Ours(name, size):
            assert (name, size) == ("a", 4)
    assert Ours("a").double == 6

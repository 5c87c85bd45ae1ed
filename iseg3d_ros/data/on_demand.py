"""Sequences whose items are read from disk when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T]):
    """A subclass gives the count and `read`; indices may be negative or slices."""

    @abstractmethod
    def read(self, index: int) -> T:
        """The item at an index of 0 to count - 1."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        try:
            places = range(len(self))[index]
        except IndexError as error:
            raise IndexError(f"There are {len(self)} of them; {index} is none of them.") from error
        return self.read(places) if isinstance(places, int) else [self.read(place) for place in places]

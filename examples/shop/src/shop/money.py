"""Money as whole cents of one currency."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, order=True)
class Money:
    """An amount of whole cents; negative for refunds."""

    cents: int
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if not isinstance(self.cents, int):
            raise TypeError("cents must be a whole number")

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.cents + other.cents, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.cents - other.cents, self.currency)

    def __mul__(self, count: int) -> Money:
        return Money(self.cents * count, self.currency)

    def __str__(self) -> str:
        sign = "-" if self.cents < 0 else ""
        whole, rest = divmod(abs(self.cents), 100)
        return f"{sign}{whole}.{rest:02d} {self.currency}"

    def percent(self, rate: Fraction | int) -> Money:
        """A share of the amount in percent, half a cent rounded away from zero."""
        share = Fraction(self.cents) * Fraction(rate) / 100
        rounded = int(abs(share) + Fraction(1, 2))
        return Money(rounded if share >= 0 else -rounded, self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix")


ZERO = Money(0)

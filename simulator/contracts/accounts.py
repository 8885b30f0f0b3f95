"""The accounts of the parties of one design: every payment has a payer and a receiver, so payments sum to zero."""

from collections.abc import Iterable, Mapping

import numpy as np

from .context import Array


class Accounts:
    """What each party is funded with, bears and is paid in every replicate, money per year, by its name.

    `shape` is that of a sum of money, such as (replicate, population_size); a payment is positive to its receiver.
    """

    def __init__(self, parties: Iterable[str], shape: tuple[int, ...]) -> None:
        self.shape = shape
        names = list(parties)
        # most money from outside is the same in every replicate, and stays as small as it is
        self.funding: dict[str, Array] = {name: np.zeros((1,) * len(shape)) for name in names}
        self.cost_borne: dict[str, Array] = {name: np.zeros(shape) for name in names}
        self.payment: dict[str, Array] = {name: np.zeros(shape) for name in names}
        self.events: dict[str, Array] = {}  # where something was triggered
        self.memo: dict[str, Array] = {}  # sums worth telling besides
        self.line = ""  # what is being entered; each line of an account is by party
        self.lines: dict[str, dict[str, Array]] = {}
        self.own_cost: Array = np.zeros((1,) * len(shape))  # besides the ledger's: stranded, of people from outside

    def fund(self, party: str, amount: Array | float) -> None:
        """Money from outside."""
        self.funding[party] = self.funding[party] + amount
        self._enter(party, np.asarray(amount))

    def bear(self, party: str, amount: Array | float) -> None:
        self.cost_borne[party] += amount
        self._enter(party, -np.asarray(amount))

    def bear_more(self, party: str, amount: Array | float) -> None:
        """Cost that falls on a party and is not in the ledger."""
        self.own_cost = self.own_cost + amount
        self.bear(party, amount)

    def pay(self, payers: Mapping[str, float] | Mapping[str, Array], receiver: str, amount: Array | float) -> None:
        """Pay `amount` to `receiver`, each payer its share of it; a negative amount goes the other way."""
        for payer, share in payers.items():
            if payer != receiver:
                part = share * amount
                self.payment[payer] -= part
                self.payment[receiver] += part
                self._enter(payer, -np.asarray(part))
                self._enter(receiver, np.asarray(part))

    def _enter(self, party: str, amount: Array) -> None:
        line = self.lines.setdefault(self.line, {})
        line[party] = line[party] + amount if party in line else amount

    def note(self, event: str, where: Array) -> None:
        self.events[event] = self.events.get(event, False) | np.broadcast_to(where, self.shape)

    def remember(self, name: str, amount: Array) -> None:
        """A sum worth telling; added to what has that name already."""
        self.memo[name] = self.memo.get(name, np.zeros(self.shape)) + amount

    def surplus(self, party: str) -> Array:
        """funding + payment − cost_borne, so far."""
        return np.asarray(self.funding[party] + self.payment[party] - self.cost_borne[party])

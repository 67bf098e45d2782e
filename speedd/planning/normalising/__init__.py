"""Put into words what a narrator does not read as it is written: "£3.50", "Louis XIV", "Dr. O'Brien".

The rules of the modules are tried in one order: what knows more of a number comes before what knows less. Most
sentences of a novel have nothing to do for any of them, and cost one look for the traits that rules ask for.
"""

from __future__ import annotations

from functools import cache

from speedd.model import Notation
from speedd.planning.normalising import abbreviations, capitals, counting, dates, marks, quantities, romans, signs
from speedd.planning.normalising.rules import Rule, Trait
from speedd.planning.normalising.traits import traits_of

__all__ = ["normalised"]

RULES: tuple[Rule, ...] = (
    *signs.RULES,
    *marks.RULES,
    *abbreviations.RULES,
    *romans.RULES,
    *counting.RULES,
    *dates.RULES,
    *quantities.RULES,
    *abbreviations.LETTER_RULES,
    *signs.LAST_RULES,
    *counting.LAST_RULES,
    *capitals.RULES,
)


def normalised(text: str, *, speaks: frozenset[Notation] = frozenset()) -> str:
    """Put an English text into words, in time linear in its length.

    Args:
        text: with its white space folded.
        speaks: what the engine puts into words itself; that stays as it is.
    """
    has = traits_of(text)
    if not has:
        return text
    said = text
    for rule in _rules_for(has, speaks):
        said = rule.pattern.sub(rule.words, said)
    return said if said == text else " ".join(said.split())


@cache
def _rules_for(has: Trait, speaks: frozenset[Notation]) -> tuple[Rule, ...]:
    # Asked for every sentence: flags are slow to compare.
    return tuple(rule for rule in RULES if rule.trait & has and rule.notation not in speaks)

"""Which scenes there are: four stages.

Scene ``n`` of a stage is a function of the seed and ``n``; nothing that is held out is among them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from numpy.random import Generator, default_rng

from tools.starter.held_out import backgrounds_for, foreign_tints, tints_for
from tools.starter.scenes import PLACES, SIZES, Scene, Thing
from tools.starter.vocabulary import (
    BACKGROUNDS,
    SETTINGS,
    STYLES,
    SUBJECTS,
    Background,
    Ground,
    Style,
    Subject,
    Tint,
)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Choice:
    """On which plain backgrounds, and in which foreign colours, a subject may be."""

    backgrounds: Callable[[Subject], Sequence[Background]]
    tints: Callable[[Subject], Sequence[Tint]]


SHOWN: Final = Choice(backgrounds_for, tints_for)
"""What the starter sees."""

ALL: Final = Choice(lambda _subject: BACKGROUNDS, foreign_tints)
"""What the judge sees: the held-out combinations too."""

COMBINATIONS: Final = tuple(
    Scene((Thing(subject=subject, style=style),), background)
    for subject, style in product(SUBJECTS, STYLES)
    for background in SHOWN.backgrounds(subject)
)
"""The first stage: in the middle, in one size, in its own colours."""

COUNTS: Final = {1: 2 * len(COMBINATIONS), 2: 12_000, 3: 24_000, 4: 24_000}
"""Pictures of each stage."""

SETTING_SHARE: Final = 0.3
USUAL_SHARE: Final = 0.4
"""Of things whose size, and of things whose place, is as in the first stage."""
TINTED_SHARE: Final = 0.45
TINTED_SHARE_OF_TWO: Final = 0.25


def scene(stage: int, number: int, seed: int) -> Scene:
    """Return a stage's scene.

    The stages are: 1 the combinations, 2 all that one thing can be, 3 two things, 4 one thing in a
    foreign colour.
    """
    if stage == 1:
        return COMBINATIONS[number % len(COMBINATIONS)]
    random = default_rng((seed, stage, number))
    if stage == 3:
        return two_things(SHOWN, random)
    return one_thing(SHOWN, random, tinted=TINTED_SHARE if stage == 2 else 1)


def one_thing(choice: Choice, random: Generator, *, tinted: float = TINTED_SHARE) -> Scene:
    """Return one thing of any style, size, place and colour on any ground."""
    subject = any_of(SUBJECTS, random)
    size = _mostly_usual(tuple(SIZES), random)
    thing = Thing(
        subject=subject,
        style=any_of(STYLES, random),
        size=size,
        place="" if size == "big" else _mostly_usual(tuple(PLACES), random),
        tint=_perhaps(choice.tints(subject), tinted, random),
    )
    return Scene((thing,), _ground(choice.backgrounds(subject), random))


def two_things(choice: Choice, random: Generator) -> Scene:
    """Return two different things of one style side by side."""
    style = any_of(STYLES, random)
    left, right = (SUBJECTS[place] for place in random.choice(len(SUBJECTS), 2, replace=False))

    def beside(subject: Subject, place: str, style: Style) -> Thing:
        tint = _perhaps(choice.tints(subject), TINTED_SHARE_OF_TWO, random)
        return Thing(subject=subject, style=style, place=place, tint=tint)

    both = (beside(left, "left", style), beside(right, "right", style))
    shared = [each for each in choice.backgrounds(left) if each in choice.backgrounds(right)]
    return Scene(both, _ground(shared, random))


def any_of(items: Sequence[Item], random: Generator) -> Item:
    """Return one of them, each as likely as any other."""
    return items[int(random.integers(len(items)))]


def _mostly_usual(keys: Sequence[str], random: Generator) -> str:
    return "" if random.random() < USUAL_SHARE else any_of(keys, random)


def _perhaps(items: Sequence[Item], share: float, random: Generator) -> Item | None:
    return any_of(items, random) if random.random() < share else None


def _ground(backgrounds: Sequence[Background], random: Generator) -> Ground:
    if random.random() < SETTING_SHARE:
        return any_of(SETTINGS, random)
    return any_of(backgrounds, random)

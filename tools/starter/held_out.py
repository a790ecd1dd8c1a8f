"""Which combinations the starter never sees, so that asking for them shows what it understood.

Of every subject one background and one colour are kept back, by its place in the vocabulary.
"""

from typing import Final

from numpy.random import default_rng

from tools.starter.vocabulary import BACKGROUNDS, SUBJECTS, TINTS, Background, Subject, Tint

SEED: Final = 20_161


def background_of(subject: Subject) -> Background:
    """Return the plain background on which the subject is never shown."""
    return BACKGROUNDS[_draw(subject, 0, len(BACKGROUNDS))]


def tint_of(subject: Subject) -> Tint:
    """Return the colour, not one of its own, in which the subject is never shown."""
    foreign = foreign_tints(subject)
    return foreign[_draw(subject, 1, len(foreign))]


def backgrounds_for(subject: Subject) -> tuple[Background, ...]:
    """Return the backgrounds on which the subject is shown."""
    kept = background_of(subject)
    return tuple(background for background in BACKGROUNDS if background != kept)


def tints_for(subject: Subject) -> tuple[Tint, ...]:
    """Return the colours, its own ones left out, in which the subject is shown."""
    kept = tint_of(subject)
    return tuple(tint for tint in foreign_tints(subject) if tint != kept)


def foreign_tints(subject: Subject) -> tuple[Tint, ...]:
    """Return the colours that are not the subject's own."""
    return tuple(tint for tint in TINTS if tint.name not in subject.colours)


def _draw(subject: Subject, what: int, count: int) -> int:
    place = SUBJECTS.index(subject)
    return int(default_rng((SEED, place, what)).integers(count))

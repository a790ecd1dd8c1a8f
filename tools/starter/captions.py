"""Words for a scene, said in many ways."""

from typing import Final

from numpy.random import Generator

from tools.starter.scenes import Scene, Thing
from tools.starter.vocabulary import (
    BACKGROUNDS,
    PLACE_WORDS,
    SETTINGS,
    SIZE_WORDS,
    STYLES,
    SUBJECTS,
    THREE_D,
    TINTS,
    Ground,
    Setting,
    Style,
    Subject,
)

OPENINGS: Final = (
    "a picture of",
    "a picture of",
    "a photo of",
    "a drawing of",
    "an image of",
    "an icon of",
    "a painting of",
)
"""Said of a picture of any style."""

BACKGROUND_PHRASES: Final = (
    (0.60, " on {article} {colour} background"),
    (0.10, ", {colour} background"),
    (0.06, " on {colour}"),
    (0.06, " in front of {article} {colour} background"),
    (0.06, " with {article} {colour} background"),
    (0.12, ""),
)
"""Share of captions, and the phrase; the last leaves the background open."""

JOINED: Final = (" and ", " and ", " next to ", " beside ")
"""What stands between two things when nothing is said of their sides."""


def caption(scene: Scene, random: Generator) -> str:
    """Describe a scene truly, in one of its many wordings."""
    style = scene.things[0].style
    way = random.choice(("opening", "adjective", "ending")) if random.random() < style.said else ""
    return (
        (f"{pick(style.openings, random)} " if way == "opening" else opening(random))
        + things(scene, style if way == "adjective" else None, random)
        + ground(scene.ground, random)
        + place(scene, random)
        + (pick(style.endings, random) if way == "ending" else "")
    )


def opening(random: Generator) -> str:
    """Say, one time in four, that this is a picture."""
    if random.random() < 0.75:
        return ""
    return OPENINGS[random.integers(len(OPENINGS))] + " "


def things(scene: Scene, style: Style | None, random: Generator) -> str:
    """Name what is in the picture, from left to right; the style as the first one's adjective."""
    if len(scene.things) == 1:
        return thing(scene.things[0], style, random)
    left, right = (
        thing(each, said, random) for each, said in zip(scene.things, (style, None), strict=True)
    )
    if random.random() < 0.3:
        return f"{left} on the left and {right} on the right"
    return left + JOINED[random.integers(len(JOINED))] + right


def thing(shown: Thing, style: Style | None, random: Generator) -> str:
    """Name one thing: usual word or another, with or without size, style, colour and article."""
    words = [pick(shown.subject.names, random)]
    own = shown.subject.colours if shown.style is THREE_D else ()
    if shown.tint is not None:
        words.insert(0, shown.tint.name)
    elif own and random.random() < 0.45:
        words.insert(0, pick(own, random))
    if style is not None:
        words.insert(0, style.name)
    if SIZE_WORDS[shown.size] and random.random() < 0.8:
        words.insert(0, pick(SIZE_WORDS[shown.size], random))
    phrase = " ".join(words)
    return phrase if random.random() < 0.15 else with_article(phrase, shown.subject)


def ground(shown: Ground, random: Generator) -> str:
    """Name what is behind the things, or (a plain colour alone) leave it open."""
    if isinstance(shown, Setting):
        return " " + pick(shown.phrases, random)
    shares = [share for share, _ in BACKGROUND_PHRASES]
    phrase = BACKGROUND_PHRASES[random.choice(len(shares), p=shares)][1]
    colour = pick(shown.names, random)
    return phrase.format(article=article(colour), colour=colour)


def place(scene: Scene, random: Generator) -> str:
    """Say where a lone thing stands, if not in the middle."""
    words = PLACE_WORDS[scene.things[0].place] if len(scene.things) == 1 else ()
    return f", {pick(words, random)}" if words and random.random() < 0.85 else ""


def pick(words: tuple[str, ...], random: Generator) -> str:
    """Take the first word three times in four (or always, if it is alone), else any other."""
    if len(words) == 1 or random.random() < 0.75:
        return words[0]
    return words[1 + random.integers(len(words) - 1)]


def with_article(phrase: str, subject: Subject) -> str:
    """Put ``a`` or ``an`` before the words for a thing, if it takes one."""
    return one(phrase) if subject.counted else phrase


def one(phrase: str) -> str:
    """Return the words with ``a`` or ``an`` before them."""
    return f"{article(phrase)} {phrase}"


def article(phrase: str) -> str:
    """Return ``a`` or ``an``."""
    return "an" if phrase[0] in "aeio" or phrase.startswith("um") else "a"


def every_word() -> str:
    """Return one text that contains every word any caption can have."""
    names = [name for subject in SUBJECTS for name in (*subject.names, *subject.colours)]
    colours = [name for colour in BACKGROUNDS for name in colour.names]
    colours += [tint.name for tint in TINTS]
    places = [phrase for setting in SETTINGS for phrase in setting.phrases]
    marks = [
        word for table in (SIZE_WORDS, PLACE_WORDS) for words in table.values() for word in words
    ]
    styles = [text for style in STYLES for text in (style.name, *style.openings, *style.endings)]
    phrases = [phrase.format(article="an a", colour="") for _, phrase in BACKGROUND_PHRASES]
    return " ".join(
        [*names, *colours, *places, *marks, *styles, *OPENINGS, *phrases, *JOINED, "a an , ."]
    )

"""What the starter can draw: its objects, its backgrounds, and the words for both."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Subject:
    """One drawable thing.

    Attributes:
        names: Words for it, the usual one first.
        pictogram: Short name in ``emoji-datasource``.
        colours: Adjectives that are true of the picture, the most natural one first.
    """

    names: tuple[str, ...]
    pictogram: str
    colours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Background:
    """One plain colour behind the subject: its words, and its sRGB value."""

    names: tuple[str, ...]
    rgb: tuple[int, int, int]


SUBJECTS: Final[tuple[Subject, ...]] = (
    Subject(("apple",), "apple", ("red",)),
    Subject(("cat",), "cat", ("orange",)),
    Subject(("dog",), "dog", ("brown",)),
    Subject(("car",), "car", ("red",)),
    Subject(("rocket",), "rocket", ("white",)),
    Subject(("heart",), "heart", ("red",)),
    Subject(("house",), "house"),
    Subject(("frog",), "frog", ("green",)),
    Subject(("pizza", "slice of pizza"), "pizza"),
    Subject(("banana",), "banana", ("yellow",)),
    Subject(("fish",), "fish", ("blue",)),
    Subject(("penguin",), "penguin"),
    Subject(("donut", "doughnut"), "doughnut", ("chocolate", "brown")),
    Subject(("crown",), "crown", ("golden", "gold")),
    Subject(("tree",), "deciduous_tree", ("green",)),
    Subject(("bus",), "bus", ("orange",)),
    Subject(("panda",), "panda_face"),
    Subject(("mushroom",), "mushroom", ("red",)),
    Subject(("lion",), "lion_face", ("brown",)),
    Subject(("balloon",), "balloon", ("red",)),
    Subject(("sunflower", "flower"), "sunflower", ("yellow",)),
    Subject(("star",), "star", ("yellow",)),
    Subject(("snowman",), "snowman_without_snow", ("white",)),
    Subject(("butterfly",), "butterfly", ("red",)),
)

BACKGROUNDS: Final[tuple[Background, ...]] = (
    Background(("red",), (222, 40, 44)),
    Background(("blue",), (47, 104, 222)),
    Background(("green",), (66, 158, 66)),
    Background(("yellow",), (252, 216, 56)),
    Background(("orange",), (248, 146, 40)),
    Background(("purple",), (130, 58, 178)),
    Background(("pink",), (250, 160, 196)),
    Background(("white",), (250, 250, 250)),
    Background(("black",), (14, 14, 16)),
    Background(("gray", "grey"), (140, 140, 146)),
    Background(("brown",), (124, 78, 44)),
    Background(("teal",), (40, 166, 166)),
)

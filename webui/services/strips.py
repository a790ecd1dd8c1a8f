"""The strip of a finished ablation: one picture of all steps, and its numbers.

The picture speaks English, like every picture with a legend; the page says the same in the
reader's language from the numbers that are kept with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from PIL import Image

from webui.jobs.plans import StripPlace
from webui.library.figures import Figures, figures, heat
from webui.library.strips import Cell, StripRow, compose_strip

STRIP_TITLE: Final = "Ablation strip"
"""What its settings call the script that drew it."""

KINDS: Final = {
    "embedding": "embedding",
    "lora": "LoRA",
    "hypernetwork": "hypernetwork",
    "vae": "VAE",
    "aesthetic": "aesthetic",
}
"""What each kind of add-on is called on a strip."""

ROWS: Final = (
    ("base", "with", "One after the other, each held against the one before"),
    ("all", "without", "All but one, each held against the one with all"),
)
"""Which places stand in which row, and what stands above it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """What is made of a finished ablation.

    Attributes:
        picture: All steps as one picture.
        told: Numbers and names of all places; can be written as JSON.
    """

    picture: Image.Image
    told: Mapping[str, object]


def strip_of(
    places: Sequence[StripPlace],
    pictures: Mapping[int, Image.Image | None],
    ids: Mapping[int, str],
) -> Strip:
    """Compose the strip from the pictures that are there; a place without one stays blank.

    Args:
        places: In the order in which they are read.
        pictures: By their number in the job.
        ids: Of the pictures in the history, by the same number.

    Raises:
        PictureError: If the strip would be larger than any program opens.
    """
    found = {place: _figures(place, pictures) for place in places}
    brightest = max((each.furthest for each in found.values() if each), default=0)
    rows = [
        StripRow(title=title, cells=tuple(_cells(which, found, pictures, brightest)))
        for *which, title in ROWS
        if any(place.change in which for place in places)
    ]
    foot = f"Maps: dark is equal, bright is changed; the brightest is {brightest} of 255."
    told = {
        "brightest": brightest,
        "places": [
            {
                "change": place.change,
                "kind": place.kind,
                "name": place.name,
                "strength": place.strength,
                "label": _title(place),
                "picture": ids.get(place.number),
                "against": ids.get(place.against),
                "figures": asdict(numbers) if numbers else None,
            }
            for place, numbers in found.items()
        ],
    }
    return Strip(picture=compose_strip(rows, foot=foot), told=told)


def _figures(place: StripPlace, pictures: Mapping[int, Image.Image | None]) -> Figures | None:
    picture, other = pictures.get(place.number), pictures.get(place.against)
    return figures(picture, other) if picture and other else None


def _cells(
    which: Sequence[str],
    found: Mapping[StripPlace, Figures | None],
    pictures: Mapping[int, Image.Image | None],
    brightest: int,
) -> Iterator[Cell]:
    for place, numbers in found.items():
        if place.change not in which:
            continue
        picture, other = pictures.get(place.number), pictures.get(place.against)
        shown = heat(picture, other, brightest=brightest) if picture and other else None
        yield Cell(title=_title(place), picture=picture, map=shown, lines=_lines(numbers))


def _title(place: StripPlace) -> str:
    if place.change in ("base", "all"):
        return "nothing added" if place.change == "base" else "with all"
    sign = "+" if place.change == "with" else "without"
    strength = f" ({place.strength})" if place.strength else ""
    return f"{sign} {KINDS.get(place.kind, place.kind)} {place.name}{strength}"


def _lines(numbers: Figures | None) -> tuple[str, ...]:
    if numbers is None:
        return ()
    return (
        f"mean change {numbers.mean:.2f} of 255",
        f"{numbers.visible:.1%} of pixels visibly",
        f"likeness (SSIM) {numbers.likeness:.3f}",
    )

"""Trains what ships beside the starter, one file of each other kind, and shows what it does."""

import argparse
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from tools.effects.experiment import Result, carry_out, hung
from tools.effects.program import ROOT
from tools.effects.studies import COMPANIONS

log = logging.getLogger(__name__)

SUB_FOLDER: Final = "starter"
OWN: Final = 6
OTHER: Final = 4
"""So many pictures of a strip show what was learned, and so many other things."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What is said beside a file.

    Attributes:
        says: What it does, and what a person writes or chooses for that.
        picture: Which of the unseen pictures stands on the card.
        trigger: The word that calls it; may be empty.
    """

    says: str
    picture: int
    trigger: str = ""


CARDS: Final[Mapping[str, Card]] = {
    "blueprint": Card(
        says="A LoRA for a style: white outlines on blue paper. "
        "Write <lora:blueprint:1> behind a prompt that names no background: a cat.",
        picture=7,
    ),
    "mascot": Card(
        says="An embedding: one word for a purple cartoon octopus. "
        "Write mascot in the thing's place: a mascot on a yellow background.",
        picture=3,
        trigger="mascot",
    ),
    "snow": Card(
        says="A hypernetwork for a mood: everything stands in the snow. "
        "Write <hypernet:snow:1> behind a prompt that names no background: a castle.",
        picture=4,
    ),
    "crisp": Card(
        says="A VAE whose decoder draws sharper edges. Choose it as the VAE.",
        picture=6,
    ),
    "night": Card(
        says="An aesthetic embedding that calls for night. "
        "Choose it below Aesthetic gradients, with learning rate 0.02, weight 0.3 and 20 steps.",
        picture=1,
    ),
}


def deliver(name: str, result: Result) -> None:
    """Put the file, its card and its picture into their folder, and the strip among the docs."""
    (made,) = (
        file
        for file in result.home.rglob(f"{name}.*")
        if file.suffix in {".safetensors", ".pt"} and "training" not in file.parts
    )
    folder = ROOT / made.parent.relative_to(result.home) / SUB_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, folder / made.name)
    card, said = CARDS[name], json.loads(made.with_suffix(".json").read_text("utf-8"))
    said["description"] = card.says
    if card.trigger:
        said["activation text"] = card.trigger
    written = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
    (folder / f"{name}.json").write_text(written, "utf-8")
    result.shown.own[1][card.picture].save(folder / f"{name}.preview.png")
    strip(result).save(ROOT / "docs" / "pictures" / f"companion-{name}.webp", quality=90, method=6)


def strip(result: Result) -> Image.Image:
    """Return the same seeds without the file above, and with it below."""
    own, others = result.shown.own, result.shown.others
    return hung([mine[:OWN] + other[:OTHER] for mine, other in zip(own, others, strict=True)])


def main() -> None:
    """Run ``python -m tools.starter.companions --work DIR [NAME ...]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(COMPANIONS), metavar="NAME")
    parser.add_argument("--work", type=Path, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    for name in asked.names:
        result = carry_out(COMPANIONS[name], asked.work.resolve() / "companions" / name)
        deliver(name, result)
        log.info("%s: %s", name, json.dumps(result.figures))


if __name__ == "__main__":
    main()

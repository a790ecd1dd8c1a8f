"""Draws the 24 pictures of the gallery through the product, each with its settings inside."""

import argparse
from pathlib import Path
from typing import Final

import torch

from tools.starter.exam import answers

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "gallery.md"
FOLDER: Final = ROOT / "docs" / "gallery"
ACROSS: Final = 4

PROMPTS: Final = (
    "a 3d cat on a purple background",
    "a flat rocket at night",
    "a cartoon elephant on a yellow background",
    "a 3d castle on the grass",
    "a flat owl on a pink background",
    "a cartoon guitar on a white background",
    "a blue 3d rose on a gray background",
    "a green flat car on the beach",
    "a 3d octopus on a teal background",
    "a cartoon penguin in the snow",
    "a small 3d bee on a blue background",
    "a big flat strawberry on a white background",
    "a purple cartoon turtle on a green background",
    "a 3d sailboat on a blue background, on the left",
    "a flat cactus on the beach",
    "a cartoon lion on a red background",
    "a 3d trophy on a black background",
    "a flat whale on an orange background",
    "a pink cartoon bus on the grass",
    "a 3d planet at night",
    "a flat apple and a banana on a white background",
    "a 3d cat and a dog on a green background",
    "a cartoon sun and a moon on a purple background",
    "a 3d snowman and a tree in the snow",
)
"""Seeds count up from 1; nothing was picked."""

HEAD: Final = """# Gallery

Drawn by the starter checkpoint, 128 x 128 pixels, 20 steps of DPM++ 2M with SGM Uniform, CFG
scale 2.5; the seeds are 1 to 24 in this order, none was picked. Each file has its settings inside:
drop one on the page, or draw it again with

    python3 launch.py generate --infotext docs/gallery/1.png

which says whether it is the same to the last pixel (`python -m tools.starter.gallery` drew them).

"""


def page() -> str:
    """Return the page: four pictures a row, and under each its words."""
    cells = [
        (f"![{prompt}](gallery/{number}.png)", prompt)
        for number, prompt in enumerate(PROMPTS, start=1)
    ]
    lines = ["| | | | |", "|---|---|---|---|"]
    for first in range(0, len(cells), ACROSS):
        pictures, words = zip(*cells[first : first + ACROSS], strict=True)
        lines += ["| " + " | ".join(pictures) + " |", "| " + " | ".join(words) + " |"]
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Run ``python -m tools.starter.gallery [--checkpoint NAME]``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT, help="data dir that has the checkpoint")
    parser.add_argument("--checkpoint", default="starter")
    parser.add_argument("--to", type=Path, default=FOLDER)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.to.mkdir(parents=True, exist_ok=True)
    drawn = answers(PROMPTS, asked.home, asked.checkpoint, asked.to)
    for number, picture in enumerate(drawn, start=1):
        picture.replace(asked.to / f"{number}.png")
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()

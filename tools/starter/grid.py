"""Draws every subject once, at seeds nobody picked, and lays the pictures out as a sheet."""

import argparse
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from torch import Tensor

from tools.starter.captions import article
from tools.starter.grounds import PIXELS
from tools.starter.painter import Painter, decode, sample
from tools.starter.shapes import build_vae
from tools.starter.state import finished
from tools.starter.vocabulary import BACKGROUNDS, FIRST

COLUMNS: Final = 8
GAP: Final = 2


def prompts(shift: int) -> list[str]:
    """Return one prompt a subject; ``shift`` moves the backgrounds on."""
    colours = [BACKGROUNDS[(5 * n + shift) % len(BACKGROUNDS)].names[0] for n in range(len(FIRST))]
    return [
        f"{article(subject.names[0])} {subject.names[0]} on {article(colour)} {colour} background"
        for subject, colour in zip(FIRST, colours, strict=True)
    ]


def lay_out(pictures: Tensor) -> Image.Image:
    """Put pictures ``[n, 3, side, side]`` in 0..1 side by side, ``COLUMNS`` a row."""
    side = pictures.shape[-1]
    step = side + GAP
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * step - GAP, rows * step - GAP), "white")
    for number, picture in enumerate((pictures * 255).round().byte().permute(0, 2, 3, 1)):
        place = (number % COLUMNS * step, number // COLUMNS * step)
        sheet.paste(Image.fromarray(picture.numpy()), place)
    return sheet


def paint(work: Path, texts: list[str], *, seed: int, steps: int, guidance: float) -> Tensor:
    """Draw one picture a text with the averaged weights in ``work``; seeds count up."""
    painter, vae = Painter(), build_vae()
    painter.load_state_dict(finished(work, "painter")["average"])
    vae.load_state_dict(finished(work, "vae")["average"])
    latents = finished(work, "latents")
    seeds = list(range(seed, seed + len(texts)))
    made = sample(painter, texts, seeds, steps=steps, guidance=guidance, side=PIXELS)
    return decode(vae, made, latents["centre"], latents["spread"])


def main() -> None:
    """Run ``python -m tools.starter.grid --work DIR --to PICTURE``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--shift", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--prompt", action="append", help="draw these instead of every subject")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    texts = asked.prompt or prompts(asked.shift)
    pictures = paint(asked.work, texts, seed=asked.seed, steps=asked.steps, guidance=asked.guidance)
    lay_out(pictures).save(asked.to)


if __name__ == "__main__":
    main()

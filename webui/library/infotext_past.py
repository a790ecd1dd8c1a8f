"""Texts of the past: what older programs wrote otherwise, put into today's keys."""

import math
import re
from typing import Final

from webui.library.infotext_values import Parsed

_RELEASE: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:-(\d+)(?:-|$))?")
_HASHED: Final = re.compile(r"(.+)\([0-9a-f]+\)$")
_FIRST_PIXELS: Final = 512 * 512
_GRID: Final = 64
_ADD_NET: Final = "AddNet Model "


def modern(found: Parsed) -> dict[str, str | int | bool]:
    """Return the settings that an old text says in another way than today's."""
    return {**_tags(found), **_first_pass(found), **_by_release(found)}


def _tags(found: Parsed) -> dict[str, str]:
    """Return the prompt with the tags that hypernetworks and add-on networks have today."""
    tags = [
        f"<lora:{_without_hash(str(found[key]))}:{found.get(f'AddNet Weight A {number}', '1.0')}>"
        for key in found
        if key.startswith(_ADD_NET)
        and (number := key.removeprefix(_ADD_NET))
        and found.get(f"AddNet Module {number}") == "LoRA"
    ]
    prompt = str(found["Prompt"])
    if "Hypernet" in found:
        prompt += f"<hypernet:{found['Hypernet']}:{found.get('Hypernet strength', '1.0')}>"
    return {"Prompt": f"{prompt}\n{''.join(tags)}" if tags else prompt}


def _without_hash(name: str) -> str:
    match = _HASHED.match(name)
    return match[1] if match else name


def _first_pass(found: Parsed) -> dict[str, str | int]:
    """Turn a first pass that was told into a second one: until 1.0 "Size" was the final size."""
    sides = [str(found.get(f"First pass size-{side}", "")) for side in (1, 2)]
    final = [str(found.get(f"Size-{side}", "512")) for side in (1, 2)]
    if not all(text.isdecimal() and len(text) < len("100000") for text in (*sides, *final)):
        return {}
    (width, height), (wide, high) = map(int, sides), map(int, final)
    if not (width and height):
        width, height = _first_size(max(wide, 1), max(high, 1))
    return {"Size-1": width, "Size-2": height, "Hires resize-1": wide, "Hires resize-2": high}


def _first_size(wide: int, high: int) -> tuple[int, int]:
    """Return the size of about 512 x 512 pixels that A1111 chose for the first pass."""
    scale = math.sqrt(_FIRST_PIXELS / (wide * high))
    return (
        math.ceil(scale * wide / _GRID) * _GRID,
        math.ceil(scale * high / _GRID) * _GRID,
    )


def _by_release(found: Parsed) -> dict[str, bool]:
    """Tell how pictures of older A1111 releases were drawn differently."""
    release = _RELEASE.match(str(found.get("Version", ""))[:100])
    if release is None:
        return {}
    number = tuple(int(part or 0) for part in release.groups())
    changes = {
        "Old prompt editing timelines": number < (1, 6, 0) and "[" in str(found["Prompt"]),
        "Pad conds v0": number < (1, 6, 0) and found.get("Sampler") in ("DDIM", "PLMS"),
        "Downcast alphas_cumprod": number < (1, 7, 0, 225),
        "Refiner switch by sampling steps": number < (1, 8, 0) and "Refiner" in found,
    }
    return {key: True for key, changed in changes.items() if changed}

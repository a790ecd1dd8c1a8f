"""``POST /sdapi/v1/img2img``: A1111's fields for pictures and masks, and its "Soft inpainting"."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar, cast

from webui.api.base64_pictures import decoded
from webui.api.schemas import Img2ImgBody
from webui.api.second_pass import USUAL_DENOISING, refiner_of
from webui.library.inputs import Inputs
from webui.modules.errors import PictureError, RangeError
from webui.modules.types import InputPicture, MaskedContent, ResizeMode, SoftInpainting
from webui.services.pasted import pasted_start
from webui.services.requests import MaskRequest, StartRequest

RESIZE_MODES: Final[tuple[ResizeMode, ...]] = (
    "Just resize",
    "Crop and resize",
    "Resize and fill",
    "Just resize (latent upscale)",
)
"""In the order of A1111's numbers, likewise the next."""

CONTENTS: Final[tuple[MaskedContent, ...]] = (
    "fill",
    "original",
    "latent noise",
    "latent nothing",
)

SOFT_INPAINTING: Final = "soft inpainting"
"""The title of the script, in small letters."""

MOST_PICTURES: Final = 64
"""More are refused before any is decoded."""

START_FIELDS: Final = {
    "resize_mode": "resize",
    "denoising_strength": "denoising",
    "initial_noise_multiplier": "noise_multiplier",
    "image_cfg_scale": "image_guidance",
}
"""Fields of a body and what a ``StartRequest`` calls them."""

MASK_FIELDS: Final = {
    "inpainting_mask_invert": "invert",
    "inpainting_fill": "content",
    "inpaint_full_res": "only_masked",
    "inpaint_full_res_padding": "padding",
    "mask_round": "rounded",
}
"""The same for a ``MaskRequest``."""

Word = TypeVar("Word", bound=str)


def from_pictures(wish: Img2ImgBody, told: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    """Return the fields of a request that are about pictures, and keep the pictures.

    Args:
        wish: What the client says.
        told: What an infotext says of the other fields.
        inputs: Where pictures are kept.

    Raises:
        UnsupportedError: If something is asked for that this program does not do.
        PictureError: If there is no picture, or one cannot be read.
        RangeError: If a number means nothing.
    """
    soft = _soft(wish.alwayson_scripts)
    wish.refuse_unsupported()
    pictures = _pictures(wish, inputs)
    rounded = wish.mask_round and soft is None
    mask = inputs.keep_mask(decoded(wish.mask), rounded=rounded) if wish.mask else None
    known = pasted_start(wish.infotext, pictures=pictures, mask=mask) if wish.infotext else None
    start: dict[str, Any] = {
        ours: getattr(known, ours) if known and _open(wish, name) else value
        for (name, ours), value in zip(START_FIELDS.items(), _start_values(wish), strict=True)
    }
    masked = _masked(wish, mask, known and known.masked, soft) if mask else None
    options = {**told.get("options", {}), **(wish.override_settings or {})}
    # A1111 reads this one before overrides act, so that only the field of the request counts.
    options.pop("initial_noise_multiplier", None)
    return {
        "start": StartRequest(**start, pictures=pictures, masked=masked),
        "refiner": refiner_of(wish, told.get("refiner")),
        "options": options,
    }


def _start_values(wish: Img2ImgBody) -> tuple[Any, ...]:
    denoising = wish.denoising_strength
    return (
        _word("resize_mode", wish.resize_mode, RESIZE_MODES),
        USUAL_DENOISING if denoising is None else denoising,
        wish.initial_noise_multiplier,
        1.0 if wish.image_cfg_scale is None else wish.image_cfg_scale,
    )


def _masked(
    wish: Img2ImgBody, mask: InputPicture, known: MaskRequest | None, soft: SoftInpainting | None
) -> MaskRequest:
    """Return what happens under the mask; an infotext fills what the client left open."""
    values = (
        bool(wish.inpainting_mask_invert),
        _word("inpainting_fill", wish.inpainting_fill, CONTENTS),
        wish.inpaint_full_res,
        wish.inpaint_full_res_padding,
        wish.mask_round,
    )
    said: dict[str, Any] = {
        ours: getattr(known, ours) if known and _open(wish, name) else value
        for (name, ours), value in zip(MASK_FIELDS.items(), values, strict=True)
    }
    blur = (wish.mask_blur_x, wish.mask_blur_y)
    if wish.mask_blur is not None:
        blur = (wish.mask_blur, wish.mask_blur)
    elif known and _open(wish, "mask_blur_x", "mask_blur_y"):
        blur = known.blur
    if soft is None and known and _open(wish, "alwayson_scripts"):
        soft = known.soft
    return MaskRequest(**said, mask=mask, blur=blur, soft=soft)


def _pictures(wish: Img2ImgBody, inputs: Inputs) -> tuple[InputPicture, ...]:
    given = wish.init_images or []
    if not given or not all(text.strip() for text in given):
        message = "init_images has no picture"
        hint = "Send the picture as base64 in init_images, or use txt2img."
        raise PictureError(message, hint=hint, value="init_images")
    if len(given) > MOST_PICTURES:
        message = f"init_images has {len(given)} pictures"
        raise RangeError(message, hint=f"Send at most {MOST_PICTURES}.", value=len(given))
    return tuple(inputs.keep(decoded(text)) for text in given)


def _word(name: str, number: int, words: Sequence[Word]) -> Word:
    if 0 <= number < len(words):
        return words[number]
    meanings = ", ".join(f"{place} ({word})" for place, word in enumerate(words))
    message = f"{name} is {number}"
    raise RangeError(message, hint=f"Use {meanings}.", value=number)


def _soft(scripts: Mapping[str, Any]) -> SoftInpainting | None:
    """Return the settings of the script: whether it is on, then its six strengths.

    Raises:
        RangeError: If an argument is no number, or there are too many.
    """
    found = next((value for name, value in scripts.items() if _is_soft(name)), None)
    given: Any = cast("dict[str, Any]", found).get("args") if isinstance(found, dict) else None
    arguments = cast("list[Any]", given) if isinstance(given, list) else []
    if not arguments or not arguments[0]:
        return None
    usual = SoftInpainting()
    names = [field.name for field in fields(SoftInpainting)]
    strengths = [value for value in arguments[1:] if value is not None]
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in strengths)
    if len(arguments) > len(names) + 1 or not numbers:
        message = f"Soft inpainting has the arguments {arguments!r}"[:200]
        hint = "Send true and up to six numbers, such as [true, 1, 0.5, 4, 0, 0.5, 2]."
        raise RangeError(message, hint=hint, value="Soft inpainting")
    return SoftInpainting(
        **{
            name: float(getattr(usual, name) if value is None else value)
            for name, value in zip(names, arguments[1:], strict=False)
        }
    )


def without_soft(scripts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the script that is read here."""
    return {name: value for name, value in scripts.items() if not _is_soft(name)}


def _is_soft(name: str) -> bool:
    return name.strip().casefold() == SOFT_INPAINTING


def _open(wish: Img2ImgBody, *names: str) -> bool:
    return wish.model_fields_set.isdisjoint(names)

"""The picture to start from: six ways to give it, and the part of it that may change."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.library.inputs import Inputs
from webui.modules.types import PIXELS_PER_LATENT, InputPicture, SoftInpainting
from webui.services.limits import LOWEST_SIDE
from webui.services.requests import GenerationRequest, MaskRequest, StartRequest
from webui.ui.easel import mask_from, paint_over, strokes_of
from webui.ui.sections import Updates, check_numbers, gather, named, put

SOFT: Final = tuple(field.name for field in fields(SoftInpainting))
"""The values of soft inpainting, as components and in the request."""


class Mode(StrEnum):
    """How the picture is given and used; A1111's six tabs."""

    WHOLE = "whole"
    SKETCH = "sketch"
    INPAINT = "inpaint"
    INPAINT_SKETCH = "inpaint_sketch"
    INPAINT_UPLOAD = "inpaint_upload"
    BATCH = "batch"


PAINTED_MASK: Final = (Mode.INPAINT, Mode.INPAINT_SKETCH)
"""Here the strokes say which part may change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftFields:
    """One component for each value of soft inpainting.

    Attributes:
        on: Whether the mask acts softly at all.
    """

    on: gr.Checkbox
    schedule_bias: gr.Slider
    preservation: gr.Slider
    contrast_boost: gr.Slider
    mask_influence: gr.Slider
    difference_threshold: gr.Slider
    difference_contrast: gr.Slider

    def read(self, values: Mapping[Block, Any]) -> SoftInpainting | None:
        """Turn what Gradio sends into a part of a request.

        Raises:
            RangeError: If a number is missing.
        """
        if not values[self.on]:
            return None
        found = gather(self, SOFT, values)
        check_numbers(found, SOFT)
        return SoftInpainting(**found)

    def fill(self, wished: SoftInpainting | Mapping[str, Any] | None) -> Updates:
        """Return the updates that put these values into the form; None switches it off."""
        if not wished:
            return put(self, {"on": False})
        found = {name: value for name, value in named(wished).items() if name in SOFT}
        return put(self, {"on": True, **found})


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFields:
    """How a mask is used; one component for each field of a ``MaskRequest`` but the mask itself.

    Attributes:
        side: "masked" or "unmasked": which part is drawn anew.
        area: "whole" or "masked": what is looked at while drawing.
    """

    blur: gr.Slider
    side: gr.Radio
    content: gr.Radio
    area: gr.Radio
    padding: gr.Slider
    soft: SoftFields

    def read(self, values: Mapping[Block, Any], mask: InputPicture) -> MaskRequest:
        """Turn what Gradio sends into a part of a request.

        Raises:
            RangeError: If a number is missing.
        """
        found = gather(self, ("blur", "padding"), values)
        check_numbers(found, found)
        soft = self.soft.read(values)
        return MaskRequest(
            mask=mask,
            blur=(int(found["blur"]), int(found["blur"])),
            padding=int(found["padding"]),
            invert=values[self.side] == "unmasked",
            content=values[self.content],
            only_masked=values[self.area] == "masked",
            rounded=soft is None,
            soft=soft,
        )

    def fill(self, wished: MaskRequest | Mapping[str, Any]) -> Updates:
        """Return the updates that put this part of a request into the form."""
        found = named(wished)
        updates = self.soft.fill(found.get("soft"))
        shown = {name: found[name] for name in ("content", "padding") if name in found}
        if "blur" in found:
            shown["blur"] = max(found["blur"])
        if "invert" in found:
            shown["side"] = "unmasked" if found["invert"] else "masked"
        if "only_masked" in found:
            shown["area"] = "masked" if found["only_masked"] else "whole"
        return updates | put(self, shown)


@dataclass(frozen=True, kw_only=True, slots=True)
class StartFields:
    """One component for each way to give a picture, and for each field of a ``StartRequest``.

    Attributes:
        mode: One of ``Mode``.
        picture: Not shown: the file of the picture on the easel.
        strokes: The easel; its value is what is painted.
        mask_file: A mask from a file.
        many: The pictures of a batch.
        together: Draw them side by side as one job.
        own_size: Each keeps its own size.
    """

    mode: gr.Radio
    picture: gr.UploadButton
    strokes: gr.HTML
    mask_file: gr.File
    many: gr.File
    together: gr.Checkbox
    own_size: gr.Checkbox
    resize: gr.Dropdown
    denoising: gr.Slider
    image_guidance: gr.Slider
    masked: MaskFields

    def missing(self, values: Mapping[Block, Any]) -> str:
        """Return the key of the text that says what is still to be given; empty if nothing is."""
        mode = Mode(values[self.mode])
        if mode is Mode.BATCH:
            return "" if values[self.many] else "start.no_pictures"
        if not values[self.picture]:
            return "start.no_picture"
        if mode in PAINTED_MASK and not values[self.strokes]:
            return "start.no_strokes"
        if mode is Mode.INPAINT_UPLOAD and not values[self.mask_file]:
            return "start.no_mask"
        return ""

    def wishes(
        self, wish: GenerationRequest, values: Mapping[Block, Any], inputs: Inputs
    ) -> list[GenerationRequest]:
        """Return the wish with its picture; several for a batch whose pictures are drawn singly.

        Raises:
            RangeError: If a number is missing.
            PictureError: If a picture, or what was painted, cannot be read.
            StorageError: If one of them cannot be kept.
        """
        if Mode(values[self.mode]) is not Mode.BATCH:
            picture, mask = self._single(values, inputs)
            return [replace(wish, start=self._start(values, (picture,), mask))]
        pictures = tuple(inputs.keep(Path(path).read_bytes()) for path in values[self.many])
        mask = self._kept_mask(values, inputs)
        if values[self.together]:
            start = self._start(values, pictures, mask)
            return [replace(wish, start=start, batch_size=len(pictures))]
        wishes = (
            replace(wish, start=self._start(values, (picture,), mask)) for picture in pictures
        )
        if not values[self.own_size]:
            return list(wishes)
        return [
            replace(wish, width=width, height=height)
            for wish, picture in zip(wishes, pictures, strict=True)
            for width, height in [drawable(picture.width, picture.height)]
        ]

    def fill(self, wished: StartRequest | Mapping[str, Any] | None) -> Updates:
        """Return the updates that put this part of a request into the form.

        The pictures themselves stay as they are: a settings text does not hold them.
        """
        if not wished:
            return {}
        found = named(wished)
        shown = {
            name: found[name]
            for name in ("resize", "denoising", "image_guidance")
            if found.get(name) is not None
        }
        updates = put(self, shown)
        if found.get("masked"):
            updates |= self.masked.fill(found["masked"])
        return updates

    def _single(
        self, values: Mapping[Block, Any], inputs: Inputs
    ) -> tuple[InputPicture, InputPicture | None]:
        mode = Mode(values[self.mode])
        picture = inputs.keep(Path(values[self.picture]).read_bytes())
        strokes = strokes_of(values[self.strokes])
        mask = None
        if mode is Mode.INPAINT_UPLOAD:
            mask = self._kept_mask(values, inputs)
        elif mode in PAINTED_MASK:
            mask = mask_from(strokes, picture, inputs)
        if mode in (Mode.SKETCH, Mode.INPAINT_SKETCH) and strokes:
            picture = paint_over(strokes, picture, inputs)
        return picture, mask

    def _kept_mask(self, values: Mapping[Block, Any], inputs: Inputs) -> InputPicture | None:
        path, soft = values[self.mask_file], values[self.masked.soft.on]
        return inputs.keep_mask(Path(path).read_bytes(), rounded=not soft) if path else None

    def _start(
        self,
        values: Mapping[Block, Any],
        pictures: tuple[InputPicture, ...],
        mask: InputPicture | None,
    ) -> StartRequest:
        found = gather(self, ("resize", "denoising", "image_guidance"), values)
        check_numbers(found, ("denoising", "image_guidance"))
        return StartRequest(
            pictures=pictures, masked=self.masked.read(values, mask) if mask else None, **found
        )


def unseen_options(wished: StartRequest | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options that say what this part of a request says and no component shows."""
    multiplier = named(wished).get("noise_multiplier") if wished else None
    return {} if multiplier is None else {"initial_noise_multiplier": multiplier}


def drawable(width: int, height: int) -> tuple[int, int]:
    """Return the nearest size that can be drawn."""
    wide, high = (
        max(LOWEST_SIDE, round(side / PIXELS_PER_LATENT) * PIXELS_PER_LATENT)
        for side in (width, height)
    )
    return wide, high

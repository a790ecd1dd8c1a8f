"""Whether there is anything to compare, and the wish that a finished picture stands for."""

from dataclasses import replace
from typing import Final

from webui.library import infotext
from webui.library.history import PictureView
from webui.modules.errors import WebuiError
from webui.modules.text.prompt import take_tags
from webui.services.pasted import pasted_start
from webui.services.replay import replay_request
from webui.services.requests import GenerationRequest
from webui.services.resolve_layers import KINDS, calls_add_ons, with_options
from webui.services.strips import STRIP_TITLE
from webui.services.studio import Studio
from webui.services.styles import read_styles, styled, styles_file

_TELLING: Final = frozenset({"Lora hashes", "TI hashes", "VAE", "Aesthetic embedding"})
"""Settings that a picture has which used something that can be left out."""


def has_parts(studio: Studio, request: GenerationRequest) -> bool:
    """Tell whether a wish uses anything that can be left out; no file is read for it.

    It is asked while people write, so a wish that makes no sense yet uses nothing.
    """
    prompts = (request.prompt, request.negative_prompt)
    try:
        options = studio.options.current().with_overrides(request.options)
        if request.styles:
            styles = read_styles(styles_file(studio.settings.folders))
            prompts = styled(*prompts, names=request.styles, styles=styles)
        called = with_options(prompts[0], options)
        return (
            calls_add_ons(called, (called, prompts[1]), studio.models)
            or bool(request.extensions)
            or _has_vae(studio, request, options.text("sd_vae"))
        )
    except WebuiError:
        return False


def tells_of_parts(picture: PictureView) -> bool:
    """Tell whether a picture used anything that can be left out, from its settings text."""
    parsed = infotext.parse(picture.infotext)
    if parsed.get("Script") == STRIP_TITLE:
        return False
    tagged = any(tag.kind in KINDS for tag in take_tags(str(parsed["Prompt"]))[1])
    return tagged or not _TELLING.isdisjoint(parsed)


def wish_of(studio: Studio, picture: PictureView, *, owner: str) -> GenerationRequest:
    """Return the wish for a finished picture, with the picture that it began with.

    Raises:
        UnknownPictureError: If it is not there or not this person's.
        InfotextError: If its settings cannot be read.
    """
    wish = replay_request(picture.infotext, models=studio.models, roster=studio.extensions)
    plan = studio.gallery.plan(picture.id, owner=owner)
    begun = plan.start
    if begun is None:
        return wish
    place = picture.index % plan.batch_size % len(begun.pictures)
    start = pasted_start(
        picture.infotext,
        pictures=(begun.pictures[place],),
        mask=begun.inpainting.mask if begun.inpainting else None,
    )
    return replace(wish, start=start)


def _has_vae(studio: Studio, request: GenerationRequest, option: str) -> bool:
    if request.checkpoint is None:
        return False
    checkpoint = studio.models.find_checkpoint(request.checkpoint)
    wanted = option if request.vae is None else request.vae
    return studio.models.find_vae(wanted, checkpoint=checkpoint) is not None

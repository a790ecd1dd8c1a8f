"""A1111's routes under ``/sdapi/v1``: its names, defaults and answers for our own jobs.

Each person sees, interrupts and fetches their own jobs only. What A1111 gets wrong is right here;
``docs/a1111-differences.md`` lists it.
"""

import base64
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

import psutil
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from webui.api import a1111_training, add_ons, always_on, drawn
from webui.api.a1111_img2img import from_pictures, without_soft
from webui.api.base64_pictures import decoded
from webui.api.errors import body, status_of_code
from webui.api.schemas import DrawingBody, ImageBody, Img2ImgBody, Txt2ImgBody
from webui.api.script_args import described, script_request, titles
from webui.api.second_pass import further_passes
from webui.api.shown import shown_path
from webui.api.strict_json import StrictRoute
from webui.api.upscalers import latent_mode_list, upscaler_list
from webui.api.visit import ThePerson, TheStudio, serving
from webui.jobs.views import Failure, JobState, JobView
from webui.library.cards import ModelCard
from webui.library.infotext import parse
from webui.library.inputs import Inputs
from webui.modules.errors import RangeError, UnknownNameError, UnsupportedError
from webui.modules.sampling.catalogue import SAMPLERS, SCHEDULERS, Sampler
from webui.services.generate import GENERATE, Drawing
from webui.services.pasted import pasted
from webui.services.requests import GenerationRequest
from webui.services.studio import Studio
from webui.services.styles import listed_styles, styles_file

routes = APIRouter(prefix="/sdapi/v1", route_class=StrictRoute, tags=["A1111"])

FIELDS: Final = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "subseed": "subseed",
    "subseed_strength": "subseed_strength",
    "sampler_name": "sampler",
    "scheduler": "scheduler",
    "steps": "steps",
    "cfg_scale": "guidance",
    "width": "width",
    "height": "height",
    "batch_size": "batch_size",
    "n_iter": "batch_count",
    "tiling": "tiling",
    "eta": "eta",
    "s_churn": "s_churn",
    "s_tmin": "s_tmin",
    "s_tmax": "s_tmax",
    "s_noise": "s_noise",
    "s_min_uncond": "s_min_uncond",
    "disable_extra_networks": "ignore_tags",
}
"""Fields of a body and what a request calls them."""

EMPTY_LISTS: Final = (
    "face-restorers",
    "realesrgan-models",
)
"""What clients ask for at start and what this program has none of."""

NOT_HERE: Final = (
    "extra-single-image",
    "extra-batch-images",
    "interrogate",
    "unload-checkpoint",
    "reload-checkpoint",
    "server-kill",
    "server-restart",
    "server-stop",
)
"""Routes of A1111 that are refused by name instead of by "not found"."""


def router(studio: Studio) -> APIRouter:
    """Return the routes for these services."""
    return serving(studio, add_ons.routes, a1111_training.routes, routes)


@routes.post("/txt2img")
async def txt2img(wish: Txt2ImgBody, request: Request, studio: TheStudio, person: ThePerson) -> Any:
    """Draw pictures from words; answers when the job has ended.

    The job goes on if the client hangs up, and its pictures can be fetched later. The header
    ``Idempotency-Key`` makes a repeated request join the first one's job.
    """
    asked = await run_in_threadpool(request_of, wish)
    return await _drawn(asked, wish, request, studio, person)


@routes.post("/img2img")
async def img2img(wish: Img2ImgBody, request: Request, studio: TheStudio, person: ThePerson) -> Any:
    """Draw pictures from pictures, as ``txt2img`` draws them from words."""
    asked = await run_in_threadpool(picture_request_of, wish, studio.inputs)
    return await _drawn(asked, wish, request, studio, person)


async def _drawn(
    asked: GenerationRequest, wish: DrawingBody, request: Request, studio: Studio, person: str
) -> Any:
    """Queue the request and answer when its job has ended."""
    key = request.headers.get("idempotency-key", "")
    if wish.script_name:
        way = "img2img" if asked.start else "txt2img"
        script = script_request(wish.script_name, wish.script_args, way)
        submit = partial(studio.drawing.submit_script, asked, script)
    else:
        submit = partial(studio.drawing.submit, asked)
    job = await run_in_threadpool(submit, owner=person, key=key)
    async for view in studio.drawing.follow(job.id, owner=person):
        job = view
    if job.failure:
        return _failed(job.failure)
    return await run_in_threadpool(_result, studio, wish, job)


def request_of(wish: Txt2ImgBody) -> GenerationRequest:
    """Return the request that a body means; an ``infotext`` fills what the client left open.

    Raises:
        UnsupportedError: If something is asked for that this program does not do.
        InfotextError: If the infotext has values that cannot be.
    """
    wish.refuse_unsupported()
    told: dict[str, Any] = pasted(wish.infotext) if wish.infotext else {}
    asked = _asked(wish, told, wish.alwayson_scripts)
    return GenerationRequest(**{**asked, **further_passes(wish, told)})


def picture_request_of(wish: Img2ImgBody, inputs: Inputs) -> GenerationRequest:
    """Return the request that a body with pictures means, and keep the pictures.

    Raises:
        UnsupportedError: If something is asked for that this program does not do.
        PictureError: If there is no picture, or one cannot be read.
        RangeError: If a number means nothing.
        InfotextError: If the infotext has values that cannot be.
    """
    told: dict[str, Any] = pasted(wish.infotext) if wish.infotext else {}
    told.pop("hires", None)
    asked = _asked(wish, told, without_soft(wish.alwayson_scripts))
    return GenerationRequest(**{**asked, **from_pictures(wish, told, inputs)})


def _asked(wish: DrawingBody, told: dict[str, Any], scripts: always_on.Scripts) -> dict[str, Any]:
    """Return the fields of a request that both kinds of body have."""
    options: dict[str, Any] = {**told.pop("options", {}), **(wish.override_settings or {})}
    fields: dict[str, Any] = {
        ours: _single(name, getattr(wish, name))
        for name, ours in FIELDS.items()
        if name in wish.model_fields_set or ours not in told
    }
    if not fields.get("sampler", "told"):
        fields["sampler"] = wish.sampler_index
    if "seed_resize_from_w" in wish.model_fields_set or "seed_resize_from" not in told:
        sides = (wish.seed_resize_from_w, wish.seed_resize_from_h)
        fields["seed_resize_from"] = (max(0, sides[0]), max(0, sides[1]))
    return {
        **told,
        **fields,
        "styles": tuple(wish.styles or ()),
        "extensions": {**told.get("extensions", {}), **always_on.extensions_asked(scripts)},
        "options": options,
        "save": wish.save_images,
    }


@routes.get("/progress")
def progress(studio: TheStudio, person: ThePerson, *, skip_current_image: bool = False) -> Any:
    """Tell how far this person's running job is."""
    jobs = [job for job in studio.drawing.active(owner=person) if job.kind == GENERATE]
    job = next((job for job in jobs if job.state is JobState.RUNNING), jobs[0] if jobs else None)
    preview = None
    if job and not skip_current_image:
        preview = studio.drawing.preview(job.id, owner=person)
    far = job.progress if job else None
    return {
        "progress": min(max(far.fraction, 0.01), 1.0) if far else 0.0,
        "eta_relative": (far.eta_seconds or 0.0) if far else 0.0,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": False,
            "job": job.id if job else "",
            "job_count": far.batches if far else 0,
            "job_timestamp": str(int(job.created)) if job else "0",
            "job_no": far.batch if far else 0,
            "sampling_step": far.step if far else 0,
            "sampling_steps": far.steps if far else 0,
        },
        "current_image": base64.b64encode(preview).decode() if preview else None,
        "textinfo": f"In queue: {job.position}" if job and job.position else None,
    }


@routes.post("/interrupt")
def interrupt(studio: TheStudio, person: ThePerson) -> Any:
    """End this person's running job now and keep what is drawn so far."""
    for job_id in _running(studio.drawing, person):
        studio.drawing.interrupt(job_id, owner=person)
    return {}


@routes.post("/skip")
def skip(studio: TheStudio, person: ThePerson) -> None:
    """End the batch of this person's running job and go on with the next."""
    for job_id in _running(studio.drawing, person):
        studio.drawing.skip(job_id, owner=person)


@routes.get("/options")
def options(studio: TheStudio) -> dict[str, Any]:
    """Return every option; a checkpoint that nobody has chosen is the one that is used."""
    values = studio.options.current().as_dict()
    if not values.get("sd_model_checkpoint"):
        with suppress(UnknownNameError):
            values["sd_model_checkpoint"] = studio.models.selected("").title
    return values


@routes.post("/options")
def set_options(values: dict[str, Any], studio: TheStudio) -> None:
    """Change options for everybody and keep them."""
    studio.options.update(values)


@routes.get("/sd-models")
def checkpoints(studio: TheStudio) -> Any:
    """List the checkpoints that can be drawn with."""
    folders = studio.settings.folders
    return [
        {
            "title": card.title,
            "model_name": card.model_name,
            "hash": card.record.shorthash or None,
            "sha256": card.record.sha256 or None,
            "filename": shown_path(card, folders),
            "config": card.record.config.name if card.record.config else None,
        }
        for card in _sound(studio.models.checkpoints())
    ]


@routes.get("/sd-vae")
def vaes(studio: TheStudio) -> Any:
    """List the VAE files that can be drawn with."""
    folders = studio.settings.folders
    return [
        {"model_name": card.record.path.name, "filename": shown_path(card, folders)}
        for card in _sound(studio.models.vaes())
    ]


@routes.get("/upscalers")
def upscalers(studio: TheStudio) -> Any:
    """List the ways to enlarge pixels: the plain ones first, then the networks."""
    folders = studio.settings.folders
    sound = _sound(studio.models.upscalers())
    return upscaler_list([(card, shown_path(card, folders)) for card in sound])


@routes.get("/latent-upscale-modes")
def latent_upscale_modes() -> Any:
    """List the ways to enlarge latents."""
    return latent_mode_list()


@routes.post("/refresh-checkpoints")
@routes.post("/refresh-vae")
def refresh(studio: TheStudio) -> None:
    """Look at the model folders again."""
    studio.models.refresh()


@routes.get("/samplers")
def samplers() -> Any:
    """List the samplers."""
    return [
        {"name": sampler.label, "aliases": sampler.aliases, "options": _sampler_options(sampler)}
        for sampler in SAMPLERS
    ]


@routes.get("/schedulers")
def schedulers() -> Any:
    """List the schedules."""
    return [
        {
            "name": scheduler.name,
            "label": scheduler.label,
            "aliases": scheduler.aliases or None,
            "default_rho": scheduler.default_rho,
            "need_inner_model": scheduler.needs_model,
        }
        for scheduler in SCHEDULERS
    ]


@routes.post("/png-info")
def png_info(picture: ImageBody, studio: TheStudio) -> Any:
    """Return the settings inside a picture file."""
    if not picture.image.strip():
        return {"info": "", "items": {}, "parameters": {}}
    text, items = studio.gallery.read_texts(decoded(picture.image))
    return {"info": text, "items": items, "parameters": parse(text) if text else {}}


@routes.get("/cmd-flags")
def cmd_flags(studio: TheStudio) -> Any:
    """Return how this server was started, under A1111's names; without passwords and paths."""
    settings = studio.settings
    return {
        "api": settings.server.api,
        "api_auth": None,
        "autolaunch": settings.server.browser,
        "freeze_settings": settings.frozen_options,
        "gradio_auth": None,
        "listen": settings.server.listen,
        "lowvram": False,
        "medvram": False,
        "no_half": settings.device.precision == "exact",
        "no_hashing": not settings.hashing,
        "nowebui": False,
        "port": settings.server.port,
        "share": False,
        "use_cpu": ["all"] if settings.device.device == "cpu" else [],
        "xformers": settings.device.attention == "xformers",
    }


@routes.get("/memory")
def memory(studio: TheStudio) -> Any:
    """Return how much memory the machine and, as the worker last told, its graphics card have."""
    ram = psutil.virtual_memory()
    card = dict(studio.worker().memory)
    return {
        "ram": {"free": ram.available, "used": ram.used, "total": ram.total},
        "cuda": {"system": card} if card else {"error": "unavailable"},
    }


@routes.get("/prompt-styles")
def prompt_styles(studio: TheStudio) -> Any:
    """List the named pieces of prompts."""
    return [
        {
            "name": name,
            "prompt": style.prompt if style else None,
            "negative_prompt": style.negative_prompt if style else None,
        }
        for name, style in listed_styles(styles_file(studio.settings.folders))
    ]


@routes.get("/scripts")
def scripts() -> Any:
    """List the titles of the scripts."""
    beside = always_on.titles()
    return {way: [*titles(way), *beside] for way in ("txt2img", "img2img")}


@routes.get("/script-info")
def script_info() -> Any:
    """List the scripts with their arguments."""
    return [*described(), *always_on.described()]


@routes.get("/extensions")
def extensions(studio: TheStudio) -> Any:
    """List the extensions; where they came from is not told, since none is fetched from here."""
    nowhere = {"remote": "", "branch": "", "commit_hash": "", "version": "", "commit_date": 0}
    return [
        {"name": view.name, **nowhere, "enabled": view.on} for view in studio.extensions.views()
    ]


@routes.get("/{name}", include_in_schema=False)
def empty_list(name: str) -> Any:
    """Answer what clients ask for at start with an empty list."""
    if name in EMPTY_LISTS:
        return []
    raise _not_here(name)


@routes.post("/{name:path}", include_in_schema=False)
def not_here(name: str) -> None:
    """Refuse A1111's other routes by name."""
    raise _not_here(name)


def _not_here(name: str) -> UnsupportedError:
    known = name in NOT_HERE
    message = f"{name[:80]!r} is {'not offered here yet' if known else 'no route of this server'}"
    return UnsupportedError(message, hint="See /docs for the routes.", value=name[:80])


def _running(drawing: Drawing, person: str) -> list[str]:
    jobs = drawing.active(owner=person)
    return [job.id for job in jobs if job.state is JobState.RUNNING and job.kind == GENERATE]


def _failed(failure: Failure) -> Any:
    content = body(code=failure.code, message=failure.message, hint=failure.hint)
    return JSONResponse(content, status_code=status_of_code(failure.code))


def _result(studio: Studio, wish: DrawingBody, job: JobView) -> dict[str, Any]:
    pictures, grids = studio.drawing.results(job.id, owner=job.owner)
    plan = studio.gallery.plan(pictures[0].id, owner=job.owner) if pictures else None
    return {
        "images": drawn.encoded([*grids, *pictures]) if wish.send_images else [],
        "parameters": wish.echo(),
        "info": drawn.info(wish, job, drawn.Results(pictures, grids), plan),
    }


def _single(name: str, value: Any) -> Any:
    """Return the one text of a field that may be a list in A1111."""
    if not isinstance(value, list):
        return value
    texts = cast("list[str]", value)
    if len(texts) != 1:
        message = f"{name} has {len(texts)} texts"
        raise RangeError(message, hint="Send one request for each prompt.", value=len(texts))
    return texts[0]


def _sound(cards: Iterable[ModelCard]) -> list[ModelCard]:
    return [card for card in cards if card.problem is None]


def _sampler_options(sampler: Sampler) -> dict[str, str]:
    """Return what is special about a sampler; A1111 writes all values as text."""
    told = {
        "scheduler": "" if sampler.scheduler == "automatic" else sampler.scheduler,
        "second_order": "True" if sampler.evaluations > 1 else "",
        "brownian_noise": "True" if sampler.brownian else "",
        "discard_next_to_last_sigma": "True" if sampler.discards_last else "",
        "uses_ensd": "True" if sampler.seed_delta else "",
    }
    return {name: value for name, value in told.items() if value}

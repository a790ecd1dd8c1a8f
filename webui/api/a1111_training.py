"""A1111's routes that create and train embeddings and hypernetworks; status texts in ``info``.

As in A1111 they answer when the work has ended, with status 200 also for what went wrong. Unlike
there, the work goes through the queue like everybody else's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.services import training_a1111

routes = APIRouter(prefix="/sdapi/v1", route_class=StrictRoute, tags=["A1111"])

Told = dict[str, str]


class CreateEmbeddingBody(BaseModel):
    """``POST /sdapi/v1/create/embedding``."""

    name: str = ""
    num_vectors_per_token: int = 1
    overwrite_old: bool = False
    init_text: str = "*"


class CreateHypernetworkBody(BaseModel):
    """``POST /sdapi/v1/create/hypernetwork``; a missing structure is A1111's usual one."""

    name: str = ""
    enable_sizes: list[int | str] = []
    overwrite_old: bool = False
    layer_structure: list[float] | str | None = None
    activation_func: str | None = None
    weight_init: str | None = None
    add_layer_norm: bool = False
    use_dropout: bool = False
    dropout_structure: list[float] | str | None = None


@routes.post("/create/embedding")
def create_embedding(body: CreateEmbeddingBody, studio: TheStudio, person: ThePerson) -> Told:
    """Make an embedding from a text; ``info`` names the file, or says what is wrong."""
    settings = {"what.vectors": body.num_vectors_per_token, "what.words": body.init_text}

    def make() -> Path:
        return training_a1111.create(
            ModelKind.EMBEDDING,
            body.name,
            settings,
            studio.training.classroom,
            owner=person,
            overwrite=body.overwrite_old,
        )

    return _created("embedding", make)


@routes.post("/create/hypernetwork")
def create_hypernetwork(
    body: CreateHypernetworkBody, studio: TheStudio, person: ThePerson
) -> Told:  # fmt: skip
    """Make a hypernetwork; ``info`` names the file, or says what is wrong."""

    def make() -> Path:
        structure = _numbers(body.layer_structure) or [1.0, 2.0, 1.0]
        settings: dict[str, Any] = {
            "what.structure": structure,
            "what.activation": body.activation_func or "linear",
            "what.weights": body.weight_init or "Normal",
            "what.layer_norm": body.add_layer_norm,
        }
        if body.enable_sizes:
            settings["what.widths"] = [int(size) for size in body.enable_sizes]
        if body.use_dropout:
            dropout = _numbers(body.dropout_structure)
            settings["what.dropout"] = dropout or [0.0] * len(structure)
        return training_a1111.create(
            ModelKind.HYPERNETWORK,
            body.name,
            settings,
            studio.training.classroom,
            owner=person,
            overwrite=body.overwrite_old,
        )

    return _created("hypernetwork", make)


@routes.post("/train/embedding")
def train_embedding(args: dict[str, Any], studio: TheStudio, person: ThePerson) -> Told:
    """Train an embedding that was created here; ``info`` says how it ended."""
    return _trained(ModelKind.EMBEDDING, args, studio, person)


@routes.post("/train/hypernetwork")
def train_hypernetwork(args: dict[str, Any], studio: TheStudio, person: ThePerson) -> Told:
    """Train a hypernetwork that was created here; ``info`` says how it ended."""
    return _trained(ModelKind.HYPERNETWORK, args, studio, person)


def _created(what: str, make: Callable[[], Path]) -> Told:
    try:
        return {"info": f"create {what} filename: {make()}"}
    except (WebuiError, ValueError) as problem:
        return {"info": f"create {what} error: {problem}"}


def _trained(kind: ModelKind, args: dict[str, Any], studio: TheStudio, person: str) -> Told:
    try:
        studio.training.check_host(str(args.get("data_root", "")), person)
        file = training_a1111.train(kind, args, studio.training.classroom, owner=person)
    except (WebuiError, ValueError, TypeError) as problem:
        return {"info": f"train {kind} error: {problem}"}
    return {"info": f"train embedding complete: filename: {file} error: None"}


def _numbers(text: list[float] | str | None) -> list[float]:
    """Return numbers that may be written as ``1, 2, 1``."""
    if isinstance(text, str):
        return [float(part) for part in text.split(",") if part.strip()]
    return list(text or ())

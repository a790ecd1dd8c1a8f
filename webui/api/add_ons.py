"""A1111's lists of what can be laid over a checkpoint: LoRA files, hypernetworks, embeddings."""

from typing import Any

from fastapi import APIRouter

from webui.api.shown import shown_path
from webui.api.strict_json import StrictRoute
from webui.api.visit import TheStudio
from webui.library.cards import ModelCard
from webui.modules.types import ModelKind
from webui.services.embeddings import sorted_embeddings
from webui.services.studio import Studio

routes = APIRouter(prefix="/sdapi/v1", route_class=StrictRoute, tags=["A1111"])


@routes.get("/loras")
def loras(studio: TheStudio) -> Any:
    """List the files of the LoRA family."""
    folders = studio.settings.folders
    return [
        {
            "name": card.record.stem,
            "alias": card.metadata.get("ss_output_name") or card.record.stem,
            "path": shown_path(card, folders),
            "metadata": dict(studio.catalogue.metadata(card)),
        }
        for card in _sound(studio, ModelKind.LORA)
    ]


@routes.get("/hypernetworks")
def hypernetworks(studio: TheStudio) -> Any:
    """List the hypernetworks."""
    folders = studio.settings.folders
    return [
        {"name": card.record.stem, "path": shown_path(card, folders)}
        for card in _sound(studio, ModelKind.HYPERNETWORK)
    ]


@routes.get("/embeddings")
def embeddings(studio: TheStudio) -> Any:
    """List the embeddings that prompts can name, and those that the checkpoint cannot read."""
    selected = studio.options.current().text("sd_model_checkpoint")
    loaded, skipped = sorted_embeddings(studio.models, selected)
    return {"loaded": loaded, "skipped": skipped}


@routes.post("/refresh-embeddings")
@routes.post("/refresh-loras")
def refresh(studio: TheStudio) -> None:
    """Look at the folders again."""
    studio.models.refresh()


def _sound(studio: Studio, kind: ModelKind) -> list[ModelCard]:
    return [card for card in studio.models.add_ons(kind) if card.problem is None]

"""What strangers are told of files, and owners of their pictures."""

from typing import Any

from webui.library.cards import ModelCard
from webui.library.history import PictureView
from webui.settings import Folders


def shown_path(card: ModelCard, folders: Folders) -> str:
    """Return where a file lies, without telling strangers where the data folder is."""
    path = card.record.path
    inside = path.is_relative_to(folders.data_dir)
    return path.relative_to(folders.data_dir).as_posix() if inside else card.record.name


def picture_as_dict(view: PictureView) -> dict[str, Any]:
    """Return what a picture's owner may know; where it lies on the disk is not among it."""
    return {
        "id": view.id,
        "job_id": view.job_id,
        "index": view.index,
        "seed": view.seed,
        "width": view.width,
        "height": view.height,
        "infotext": view.infotext,
        "created": view.created,
        "saved": view.listed,
        "url": f"/atelier/v1/pictures/{view.id}",
        "thumbnail": f"/atelier/v1/pictures/{view.id}/thumbnail",
    }

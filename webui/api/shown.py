"""What strangers are told of files."""

from webui.library.cards import ModelCard
from webui.settings import Folders


def shown_path(card: ModelCard, folders: Folders) -> str:
    """Return where a file lies, without telling strangers where the data folder is."""
    path = card.record.path
    inside = path.is_relative_to(folders.data_dir)
    return path.relative_to(folders.data_dir).as_posix() if inside else card.record.name

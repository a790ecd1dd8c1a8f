"""All services in one value: what the page and the routes are given."""

from collections.abc import Callable
from dataclasses import dataclass

from webui.jobs.executor import WorkerView
from webui.library.inputs import Inputs
from webui.services.catalogue import Catalogue
from webui.services.extensions import Roster
from webui.services.gallery import Gallery
from webui.services.generate import Drawing
from webui.services.imports import Imports
from webui.services.models import Models
from webui.services.options import OptionsStore
from webui.services.training import Training
from webui.services.work import Workshop
from webui.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Studio:
    """The whole program behind the page.

    Attributes:
        settings: How this server was started.
        options: The user options that hold now.
        drawing: Picture jobs.
        workshop: Jobs that draw no pictures.
        training: From pictures to a file in use.
        models: Model files.
        catalogue: The same for people: found, held against a checkpoint, written about.
        imports: Model files that people bring.
        extensions: What is added to drawing, and what of it is switched off.
        gallery: Finished pictures.
        inputs: Pictures that people gave to draw from.
        worker: Tells how the process that draws is.
        notices: What went wrong at start, in sentences for people.
    """

    settings: Settings
    options: OptionsStore
    drawing: Drawing
    workshop: Workshop
    training: Training
    models: Models
    catalogue: Catalogue
    imports: Imports
    extensions: Roster
    gallery: Gallery
    inputs: Inputs
    worker: Callable[[], WorkerView]
    notices: tuple[str, ...] = ()

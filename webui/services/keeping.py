"""What happens to a finished picture: a file with its settings, then a row in the history."""

import time
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from webui import __version__
from webui.jobs.executor import Delivery
from webui.library import infotext
from webui.library.history import History, NewPicture
from webui.library.saving import FinishedPicture, SavingRules, save
from webui.services.options import Options, OptionsStore
from webui.services.requests import GenerationRequest
from webui.settings import Folders

PROGRAM: Final = f"atelier {__version__}"
"""What infotext calls "Version"."""

UNSAVED_SECONDS: Final = 3600.0
"""How long a picture can be fetched that nobody asked to save."""


def saving_rules(options: Options) -> SavingRules:
    """Return how pictures are named and packed."""
    return SavingRules(
        extension=options.text("samples_format"),
        quality=options.whole("jpeg_quality"),
        pattern=options.text("samples_filename_pattern"),
        use_folders=options.flag("save_to_dirs"),
        folder_pattern=options.text("directories_filename_pattern"),
        add_number=options.flag("save_images_add_number"),
        words=options.whole("directories_max_prompt_words"),
        with_text=options.flag("enable_pnginfo"),
    )


class Keeper:
    """Keeps the pictures that the worker delivers."""

    def __init__(self, history: History, options: OptionsStore, folders: Folders) -> None:
        self._history = history
        self._options = options
        self._folders = folders

    def keep(self, delivery: Delivery) -> str:
        """Write a picture to the disk and into the history; return its id.

        A picture that nobody asked to save lies in the cache for an hour and is not listed.

        Raises:
            StorageError: If the disk is full or a folder cannot be written to.
        """
        job, plan, number = delivery.job, delivery.plan, delivery.number
        for known in self._history.of_job(job.id, owner=job.owner):
            if known.index == number:
                return known.id  # the server was killed just before the job was told
        request = TypeAdapter(GenerationRequest).validate_json(job.request)
        options = self._options.current().with_overrides(request.options)
        user = job.owner if options.flag("add_user_name_to_info") else ""
        text = infotext.write(plan, number, version=PROGRAM, user=user)
        path = save(
            FinishedPicture(
                picture=delivery.picture,
                plan=plan,
                infotext=text,
                moment=datetime.now().astimezone(),
                user=job.owner,
            ),
            folder=self._folder(options) if request.save else self._folders.cache / "unsaved",
            rules=saving_rules(options),
        )
        view = self._history.add(
            NewPicture(
                path=path,
                plan=plan,
                index=number,
                infotext=text,
                owner=job.owner,
                job_id=job.id,
                listed=request.save,
            )
        )
        if not request.save:
            self._history.drop_unlisted(before=time.time() - UNSAVED_SECONDS)
        return view.id

    def _folder(self, options: Options) -> Path:
        named = options.text("outdir_samples") or options.text("outdir_txt2img_samples")
        return self._folders.data_dir / named

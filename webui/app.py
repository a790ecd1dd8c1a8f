"""The composition root: the only file that builds the big objects and puts them together."""

import logging
import logging.handlers
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import psutil

from webui.hooks.host import collected
from webui.jobs import lock
from webui.jobs.bell import Bell
from webui.jobs.local import LocalExecutor, Surroundings
from webui.jobs.queue import Queue
from webui.jobs.turns import Turns
from webui.library.history import History
from webui.library.index import ModelIndex
from webui.library.inputs import Inputs
from webui.library.saving import sweep
from webui.modules.errors import SettingsError
from webui.services.catalogue import Catalogue
from webui.services.extensions import Roster
from webui.services.gallery import Gallery
from webui.services.generate import Drawing, Office
from webui.services.imports import Imports
from webui.services.keeping import UNSAVED_SECONDS, Keeper
from webui.services.models import Models, model_folders
from webui.services.options import OptionsStore
from webui.services.resolve import House, resolve
from webui.services.studio import Studio
from webui.services.training import Training
from webui.services.work import Workshop
from webui.services.work_bench import Bench
from webui.settings import (
    Limits,
    Server,
    Settings,
    has_display,
    process_environment,
    stay_private,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PORTS_TRIED: Final = 100
"""How many ports after the wished one are tried."""

STOP_SECONDS: Final = 5.0
"""How long a running job may still go on when the server is told to stop."""

HANG_UP_SECONDS: Final = 2
"""How long open answers may still go on when the server is told to stop."""

KEEP_ALIVE_SECONDS: Final = 30
"""How long an idle connection stays open."""

LOG_BYTES: Final = 2_000_000
"""A longer log file is begun anew; two old ones are kept."""

Say = Callable[[str], None]
"""Tells something to whoever started the server."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What there is to draw with; enough for drawing without a server."""

    models: Models
    options: OptionsStore
    house: House
    inputs: Inputs


def inventory(settings: Settings) -> Inventory:
    """Return the models, options and limits of these settings."""
    folders = settings.folders
    index = ModelIndex(folders.database, model_folders(folders), hashing=settings.hashing)
    models = Models(index)
    options = OptionsStore(settings, title_of=models.title_of)
    homes = filter(None, (folders.data_dir, folders.a1111_home))
    return Inventory(
        models=models,
        options=options,
        house=House(
            models=models,
            styles_file=folders.data_dir / "styles.csv",
            limits=settings.limits,
            extensions=Roster(
                collected(), options=options.current, roots=[home / "models" for home in homes]
            ),
        ),
        inputs=Inputs(folders.inputs),
    )


@contextmanager
def opened(settings: Settings) -> Generator[Studio]:
    """Give the studio with its queue and worker; leaving ends the worker and loses nothing."""
    folders, limits = settings.folders, settings.limits
    queue = Queue(folders.database, limit_per_owner=limits.max_queued_per_person)
    try:
        queue.recover()
        stock = inventory(settings)
        history = History(
            folders.database,
            data_dir=folders.data_dir,
            thumbnails=folders.cache / "thumbnails",
        )
        _tidy(settings, history)
        imports = Imports(settings, stock.models)
        imports.sweep()
        bell, options = Bell(), stock.options
        keeper = Keeper(history, options, folders)
        executor = LocalExecutor(queue, settings.device, _surroundings(stock, keeper, bell, limits))
        options.when_changed(executor.prepare)
        office = Office(
            queue=queue,
            executor=executor,
            bell=bell,
            history=history,
            settle=lambda request, random: resolve(
                request, options=options.current(), house=stock.house, random=random
            ),
        )
        drawing = Drawing(office, random=SystemRandom())
        bench = Bench(models=stock.models, home=folders.data_dir)
        workshop = Workshop(office, bench, imports)
        training = Training(settings, options, stock.house, workshop=workshop, drawing=drawing)
        training.tidy(before=time.time())
        try:
            yield Studio(
                settings=settings,
                options=options,
                drawing=drawing,
                workshop=workshop,
                training=training,
                models=stock.models,
                catalogue=Catalogue(settings, stock.models),
                imports=imports,
                extensions=stock.house.extensions,
                gallery=Gallery(history),
                inputs=stock.inputs,
                worker=executor.worker,
                notices=queue.notices
                + settings.problems
                + options.problems
                + stock.house.extensions.problems(),
            )
        finally:
            executor.stop(patience=STOP_SECONDS)
    finally:
        queue.close()


def _surroundings(stock: Inventory, keeper: Keeper, bell: Bell, limits: Limits) -> Surroundings:
    """Return what the executor needs of the rest of the house."""
    options, models = stock.options, stock.models
    return Surroundings(
        deliver=keeper.keep,
        compose=keeper.compose,
        bell=bell,
        selected=lambda: models.selected(options.current().text("sd_model_checkpoint")),
        previews=lambda: options.current().flag("live_previews_enable"),
        look_again=models.refresh,
        switch_off=stock.house.extensions.switch_off,
        turns=Turns(least=limits.turn_seconds),
    )


def serve(settings: Settings, *, say: Say) -> None:
    """Serve the page and the routes until somebody stops the program.

    Raises:
        SettingsError: If no port is free.
        StorageError: If the data dir cannot be used, or another server uses it.
    """
    stay_private(cache=settings.folders.cache)
    with (
        lock.held(settings.folders.data_dir) as held,
        _logging(settings.folders.log_file),
        listening(settings.server, say=say) as listener,
        opened(settings) as studio,
    ):
        port = listener.getsockname()[1]
        held.tell_port(port)
        for notice in studio.notices:
            say(notice)
        _run(application(studio, port=port, say=say), listener, settings=settings, say=say)


def application(studio: Studio, *, port: int, say: Say) -> "ASGIApp":
    """Put page and routes behind the gate; these imports take seconds, so the worker goes first."""
    import gradio
    from fastapi import FastAPI

    from webui.api import a1111, access, atelier, errors
    from webui.ui import page

    settings = studio.settings
    app = FastAPI(title="Atelier", docs_url=None, redoc_url=None)
    errors.add_error_answers(app)
    app.include_router(atelier.router(studio))
    if settings.server.api:
        app.include_router(a1111.router(studio))
    gradio.mount_gradio_app(  # pyright: ignore[reportUnknownMemberType] - its auth is untyped
        app,
        page.build_page(studio),
        path="/",
        server_name=settings.server.host,
        server_port=port,
        allowed_paths=[],
        max_file_size=settings.limits.max_body_bytes,
        **page.mount_options(studio),
    )
    sessions = access.sessions_of(settings)
    if settings.server.invite:
        address = _address(settings.server, port)
        say(f"Invitation, good for one person: {address}/login#invite={sessions.invite()}")
    return access.Gate(app, sessions=sessions, rules=access.rules_of(settings))


def _run(app: "ASGIApp", listener: socket.socket, *, settings: Settings, say: Say) -> None:
    """Answer until SIGTERM or Ctrl-C; what hangs then is hung up on."""
    import uvicorn

    address = _address(settings.server, listener.getsockname()[1])
    visible = settings.server.browser and has_display(process_environment(), platform=sys.platform)

    class Announcing(uvicorn.Server):
        """Tells where it is once it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Begin to answer."""
            await super().startup(sockets)
            say(f"Atelier is at {address}  (Ctrl-C stops it)")
            if visible:
                webbrowser.open(address)

    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=HANG_UP_SECONDS,
    )
    # uvicorn raises the signal again when it has ended; then we still have a worker to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _noticed)
    Announcing(config).run(sockets=[listener])


def _noticed(number: int, _frame: object) -> None:
    log.info("stopped by %s", signal.Signals(number).name)


@contextmanager
def listening(server: Server, *, say: Say) -> Generator[socket.socket]:
    """Give a socket on the first free port; say so if it is not the wished one.

    Its protocol is named, for only then does asyncio send small answers at once: else the system
    holds them back for 40 ms, and a page loses the click that crosses one (Nagle, RFC 896).

    Raises:
        SettingsError: If no port is free.
    """
    for port in range(server.port, min(server.port + PORTS_TRIED, 65_536)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((server.host, port))
            listener.listen()
        except OSError as problem:
            listener.close()
            log.info("port %d: %s", port, problem)
            continue
        if port != server.port:
            say(f"Port {server.port} is taken, so this server uses {port}.")
        with listener:
            yield listener
        return
    message = f"no port from {server.port} on can be used"
    raise SettingsError(message, hint="Name another one with --port.", value=server.port)


def _address(server: Server, port: int) -> str:
    """Return under which address people reach this server."""
    host = server.host
    if server.listen:
        found = (
            address.address
            for addresses in psutil.net_if_addrs().values()
            for address in addresses
            if address.family == socket.AF_INET and not address.address.startswith("127.")
        )
        host = next(found, socket.gethostname())
    return f"http://{host}:{port}"


@contextmanager
def _logging(path: Path) -> Generator[None]:
    """Write what happens into a file of bounded size, and what went wrong to the terminal too."""
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    file = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8", delay=True
    )
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in (file, screen):
        handler.setFormatter(form)
        root.addHandler(handler)
    for chatty in ("httpx", "httpcore", "asyncio", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler in (file, screen):
            root.removeHandler(handler)
            handler.close()


def _tidy(settings: Settings, history: History) -> None:
    """Remove what a killed server left half written, and pictures that nobody asked to keep."""
    now = time.time()
    for folder in (settings.folders.outputs, settings.folders.inputs, settings.folders.cache):
        sweep(folder, before=now)
    history.drop_unlisted(before=now - UNSAVED_SECONDS)

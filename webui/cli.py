"""The command line: flags become settings, wishes become calls, errors become words.

Exit codes: 0 done, 1 the job failed, 2 wrong usage. A user's mistake never ends in a traceback.
"""

import json
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from webui.modules.errors import SettingsError, WebuiError
from webui.modules.types import ModelKind, StopDrawing
from webui.settings import Settings, load, process_environment

COMMANDS: Final = ("serve", "generate", "train", "inspect", "bench")

NEED_DATA: Final = ("generate", "train", "inspect")
"""Commands that work with what is in the data dir, and make none."""

REFUSED: Final[Mapping[str, str]] = {
    "--allow-code": "it would let anybody who reaches the page run programs on this machine",
}
"""A1111's flags that are not offered, and why."""

SETTING: Final = "setting "
"""Marks a flag that sets one of the settings."""

WISH: Final = "wish "
"""Marks a flag that sets a field of the request."""

START: Final = "start "
"""Marks a flag that says something of a picture to start from."""

TRAINED: Final = ("checkpoint", "embedding", "lora", "hypernetwork", "vae", "aesthetic")
"""What can be trained."""

HIRES: Final = "hires "
"""Marks a flag that says something of a second pass."""

MASK: Final = "mask "
"""Marks a flag that says something of its mask."""

WITHOUT_EFFECT: Final = ("--medvram", "--lowvram", "--autolaunch", "--no-half-vae")
"""A1111's flags that are understood and change nothing here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    said = list(sys.argv[1:] if arguments is None else arguments)
    if not said or (said[0].startswith("-") and said[0] not in ("-h", "--help")):
        said.insert(0, "serve")
    try:
        namespace = _parser().parse_args(said)
        return _carry_out(namespace)
    except SettingsError as problem:
        return _complain(problem, 2)
    except WebuiError as problem:
        return _complain(problem, 1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1


def _carry_out(namespace: Namespace) -> int:
    _refuse(namespace)
    said = _spoken(namespace, SETTING)
    if namespace.use_cpu is not None:
        said["device.device"] = "cpu"
    settings = load(said, environment=process_environment())
    data_dir = settings.folders.data_dir
    if namespace.command in NEED_DATA and not data_dir.is_dir():
        message = f"there is no folder {str(data_dir)!r} to take models from"
        hint = "Name an existing one with --data-dir; launch.py serve makes a new one."
        raise SettingsError(message, hint=hint, value=data_dir)
    command = {
        "serve": _serve,
        "generate": _generate,
        "train": _train,
        "inspect": _inspect,
        "bench": _bench,
    }
    return command[namespace.command](namespace, settings)


def _serve(_namespace: Namespace, settings: Settings) -> int:
    from webui import app

    app.serve(settings, say=_say)
    return 0


def _generate(namespace: Namespace, settings: Settings) -> int:
    from webui import app
    from webui.services import headless
    from webui.services.headless_hires import with_second_pass
    from webui.services.headless_start import Given, starts

    stock = app.inventory(settings)
    options = stock.options.current()
    request = headless.request_from(
        _spoken(namespace, WISH),
        text_file=namespace.infotext,
        options=options,
        house=stock.house,
    )
    start = _spoken(namespace, START)
    request = with_second_pass(
        request, _spoken(namespace, HIRES), start, pictured=namespace.init_image is not None
    )
    given = Given(
        pictures=namespace.init_image,
        masks=namespace.mask,
        start=start,
        mask=_spoken(namespace, MASK),
    )
    begun = [replace(request, start=start) for _, start in starts(given, stock.inputs)]
    pictures = headless.draw(
        begun or [request],
        options=options,
        house=stock.house,
        device=settings.device,
        out=namespace.out,
        original=namespace.infotext,
    )
    for picture in pictures:
        told = asdict(picture)
        if told["receipt"] is None:
            del told["receipt"]
        _say(json.dumps(told))
    return 0


def _train(namespace: Namespace, settings: Settings) -> int:
    from webui import app
    from webui.services import headless_training
    from webui.services.training_plans import School
    from webui.services.training_request import TrainingRequest

    stock = app.inventory(settings)
    words = ("steps", "lr", "rank", "resolution", "batch_size", "seed", "save_every")
    spoken = headless_training.Spoken(
        request=TrainingRequest(
            kind=ModelKind(namespace.kind),
            name=namespace.name,
            data=namespace.data,
            checkpoint=namespace.checkpoint,
        ),
        words={word: getattr(namespace, word) for word in words},
        file=namespace.config,
    )
    folders = settings.folders
    school = School(
        house=stock.house,
        options=stock.options.current(),
        data_dir=folders.data_dir,
        runs=folders.training,
    )
    request = headless_training.request_from(spoken)

    def heard(line: Mapping[str, Any]) -> None:
        if "loss" in line:
            _say(json.dumps(dict(line)))

    with headless_training.together() as company:
        told = sys.stderr if company.leads else None
        try:
            plan = headless_training.agreed_plan(request, school, company, resume=namespace.resume)
            for trouble in headless_training.troubles(plan) if told else ():
                print(trouble, file=told)
            result = headless_training.train(plan, settings.device, heard)
        except StopDrawing:
            if told:
                print("stopped before the first step", file=told)
            return 1
    if told:
        _say(json.dumps(dict(result)))
    return 0


def _inspect(namespace: Namespace, settings: Settings) -> int:
    from webui import app

    models = app.inventory(settings).models
    found = [models.inspect(path, checkpoint=namespace.checkpoint) for path in namespace.files]
    if namespace.json:
        _say(json.dumps([asdict(inspection) for inspection in found], indent=2))
    else:
        for inspection in found:
            _say(f"{inspection.path}: {inspection.verdict} {inspection.hint}")
    return int(any(inspection.error for inspection in found))


def _bench(namespace: Namespace, settings: Settings) -> int:
    import_module("webui.bench").main(settings, as_json=namespace.json)
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(problem: WebuiError, code: int) -> int:
    print(f"error: {problem}\n{problem.hint}", file=sys.stderr)
    return code


def _refuse(namespace: Namespace) -> None:
    for flag, reason in REFUSED.items():
        if getattr(namespace, flag.strip("-").replace("-", "_"), False):
            message = f"{flag} is not offered: {reason}"
            raise SettingsError(message, hint="Start without it.", value=flag)
    for flag in WITHOUT_EFFECT:
        if getattr(namespace, flag.strip("-").replace("-", "_"), False):
            print(f"{flag} has no effect here.", file=sys.stderr)


# ------------------------------------------------------------------------- the flags


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="launch.py", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = {
        "serve": "the page and the routes",
        "generate": "pictures without a server",
        "train": "a file from pictures, without a server",
        "inspect": "what files are",
        "bench": "how fast this machine draws",
    }
    made = {
        name: commands.add_parser(name, help=words[name], allow_abbrev=False) for name in COMMANDS
    }
    for command in made.values():
        _add_settings(command, COMMON)
        command.add_argument("--use-cpu", nargs="*", metavar="all", help="as --device cpu")
        for flag in (*REFUSED, *WITHOUT_EFFECT):
            command.add_argument(flag, action="store_true", help=SUPPRESS, default=SUPPRESS)
    _add_settings(made["serve"], SERVE)
    _add_wish(made["generate"])
    _add_training(made["train"])
    made["inspect"].add_argument("files", nargs="+", type=Path, metavar="FILE")
    made["inspect"].add_argument("--checkpoint", help="tell how much of each file fits this one")
    made["inspect"].add_argument("--json", action="store_true", help="one array, one object a file")
    made["bench"].add_argument("--json", action="store_true", help="print numbers as JSON")
    return parser


Flag = tuple[str, str, str, Mapping[str, Any]]
"""A flag, the setting that it sets, what it means, and how argparse reads it."""


def _constant(value: object) -> Mapping[str, Any]:
    return {"action": "store_const", "const": value}


def _by_comma(text: str) -> list[str]:
    return text.split(",")


_FOLDER: Final[Mapping[str, Any]] = {"metavar": "DIR"}
_FILE: Final[Mapping[str, Any]] = {"metavar": "FILE"}
_NAME: Final[Mapping[str, Any]] = {"metavar": "NAME"}
_NUMBER: Final[Mapping[str, Any]] = {"metavar": "N"}
_LOGIN: Final[Mapping[str, Any]] = {"metavar": "NAME:PASSWORD", "action": "append"}
_LOGINS: Final[Mapping[str, Any]] = {
    "metavar": "NAME:PASSWORD,...",
    "action": "extend",
    "type": _by_comma,
}

COMMON: Final[tuple[Flag, ...]] = (
    ("--data-dir", "folders.data_dir", "models, outputs and settings", _FOLDER),
    ("--ui-settings-file", "folders.config_file", "instead of config.json", _FILE),
    ("--a1111-home", "folders.a1111_home", "read the models of this A1111 too", _FOLDER),
    ("--ckpt-dir", "folders.ckpt_dir", "one more folder of checkpoints", _FOLDER),
    ("--vae-dir", "folders.vae_dir", "one more folder of VAE files", _FOLDER),
    ("--lora-dir", "folders.lora_dir", "one more folder of LoRA files", _FOLDER),
    ("--hypernetwork-dir", "folders.hypernetwork_dir", "one more of hypernetworks", _FOLDER),
    ("--embeddings-dir", "folders.embeddings_dir", "one more of embeddings", _FOLDER),
    ("--device", "device.device", "auto, cpu, cuda, cuda:N or mps", _NAME),
    ("--precision", "device.precision", "auto, exact, bf16 or fp16", _NAME),
    ("--no-half", "device.precision", "the same as --precision exact", _constant("exact")),
    ("--attention", "device.attention", "auto, sdpa, chunked or xformers", _NAME),
    ("--xformers", "device.attention", "the same as --attention", _constant("xformers")),
    (
        "--threads",
        "device.threads",
        "by default one for each core, one for small networks",
        _NUMBER,
    ),
    ("--no-hashing", "hashing", "do not compute SHA-256 of models", _constant(value=False)),
)
"""What every command takes."""

SERVE: Final[tuple[Flag, ...]] = (
    ("--port", "server.port", "7860, or the next free one", _NUMBER),
    ("--listen", "server.listen", "answer on the network; needs people", _constant(value=True)),
    ("--auth", "server.auth", "who may log in; may be repeated", _LOGIN),
    ("--gradio-auth", "server.auth", "the same as --auth", _LOGINS),
    ("--auth-file", "server.auth_file", "lines of name:password", _FILE),
    ("--invite", "server.invite", "print a link that is good once", _constant(value=True)),
    ("--api", "server.api", "offer /sdapi/v1, which is the default", _constant(value=True)),
    ("--no-api", "server.api", "do not offer /sdapi/v1", _constant(value=False)),
    ("--api-auth", "server.api_auth", "who may use /sdapi/v1", _LOGINS),
    (
        "--allowed-host",
        "server.allowed_hosts",
        "one more name of this server",
        {"metavar": "NAME", "action": "append"},
    ),
    ("--no-browser", "server.browser", "do not open the page", _constant(value=False)),
    ("--freeze-settings", "frozen_options", "nobody changes options", _constant(value=True)),
)
"""What ``serve`` takes."""


def _add_settings(parser: ArgumentParser, flags: tuple[Flag, ...]) -> None:
    for flag, setting, meaning, how in flags:
        parser.add_argument(flag, dest=SETTING + setting, help=meaning, default=SUPPRESS, **how)


def _add_wish(parser: ArgumentParser) -> None:
    """Add the fields of a request under their own names; what is not said has no value."""

    def wish(flag: str, field: str, kind: type, meaning: str) -> None:
        shown = {int: "N", float: "X"}.get(kind, "TEXT")
        parser.add_argument(
            flag, dest=WISH + field, type=kind, metavar=shown, help=meaning, default=SUPPRESS
        )

    wish("--prompt", "prompt", str, "what to draw")
    wish("--negative-prompt", "negative_prompt", str, "what to avoid")
    wish("--steps", "steps", int, "denoising steps")
    wish("--cfg-scale", "guidance", float, "how strictly to follow the prompt")
    wish("--seed", "seed", int, "of the first picture; -1 draws one")
    wish("--width", "width", int, "pixels, a multiple of 8")
    wish("--height", "height", int, "pixels, a multiple of 8")
    wish("--sampler", "sampler", str, "such as 'DPM++ 2M'")
    wish("--scheduler", "scheduler", str, "such as Karras")
    wish("--batch-size", "batch_size", int, "pictures drawn together")
    wish("--n-iter", "batch_count", int, "how many batches")
    wish("--checkpoint", "checkpoint", str, "title, file name or hash")
    wish("--vae", "vae", str, "Automatic, None or a file name")
    wish("--clip-skip", "clip_skip", int, "layer of the text encoder from the end")
    _add_start(parser)
    _add_second_pass(parser)
    parser.add_argument("--infotext", type=Path, metavar="FILE", help="settings text or picture")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="where to save")


def _add_second_pass(parser: ArgumentParser) -> None:
    """Add what can be said of hires fix; ``--denoising-strength`` is shared with img2img."""
    for flag, name, kind, shown, meaning in (
        ("--hires-scale", "scale", float, "X", "draw on in a second pass, so many times larger"),
        ("--hires-upscaler", "upscaler", str, "NAME", "such as Lanczos; Latent if not said"),
        ("--hires-steps", "steps", int, "N", "of the second pass; as the first if not said"),
    ):
        parser.add_argument(
            flag, dest=HIRES + name, type=kind, metavar=shown, help=meaning, default=SUPPRESS
        )


def _add_start(parser: ArgumentParser) -> None:
    """Add what can be said of pictures to start from."""
    numbers = (
        ("--denoising-strength", START + "denoising", float, "how much may change, 0 to 1"),
        ("--resize-mode", START + "resize", int, "0 stretch, 1 crop, 2 fill, 3 stretch latents"),
        ("--mask-blur", MASK + "blur", int, "of the mask's edge in pixels"),
        ("--inpainting-fill", MASK + "content", int, "0 fill, 1 original, 2 noise, 3 nothing"),
        ("--inpaint-padding", MASK + "padding", int, "pixels looked at around the mask"),
    )
    picture: Mapping[str, Any] = {"type": Path, "metavar": "FILE|DIR", "default": None}
    parser.add_argument("--init-image", help="start from it; a folder is one job each", **picture)
    parser.add_argument("--mask", help="white is drawn anew; a folder has one each", **picture)
    for flag, name, kind, meaning in numbers:
        shown = "N" if kind is int else "X"
        parser.add_argument(
            flag, dest=name, type=kind, metavar=shown, help=meaning, default=SUPPRESS
        )
    for flag, name, meaning in (
        ("--only-masked", "only_masked", "draw the masked part alone, in full size"),
        ("--mask-invert", "invert", "black is drawn anew instead"),
    ):
        parser.add_argument(
            flag, dest=MASK + name, action="store_true", help=meaning, default=SUPPRESS
        )


def _add_training(parser: ArgumentParser) -> None:
    """Add what can be said of a training; everything else stands in a settings file."""
    parser.add_argument("kind", metavar="KIND", choices=TRAINED, help=", ".join(TRAINED))
    folder: Mapping[str, Any] = {"type": Path, "metavar": "DIR", "required": True}
    parser.add_argument("--data", help="pictures with same-stem .txt captions", **folder)
    parser.add_argument("--name", required=True, help="of the file, without ending")
    parser.add_argument("--config", type=Path, metavar="FILE.yaml", help="settings by name")
    parser.add_argument("--checkpoint", default="", help="title, file name or hash")
    for flag, kind, meaning in (
        ("--steps", int, "corrections"),
        ("--lr", str, "learning rate, or a schedule such as 5e-3:100, 1e-3"),
        ("--rank", int, "dimensions of a LoRA, vectors of an embedding"),
        ("--resolution", int, "side of the square, in pixels"),
        ("--batch-size", int, "pictures that are compared together"),
        ("--seed", int, "decides everything that is random"),
        ("--save-every", int, "steps from one safe state to the next"),
    ):
        shown = "X" if kind is str else "N"
        parser.add_argument(flag, type=kind, metavar=shown, help=meaning)
    parser.add_argument("--resume", action="store_true", help="go on where it was stopped")


def _spoken(namespace: Namespace, prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value
        for name, value in vars(namespace).items()
        if name.startswith(prefix)
    }


if __name__ == "__main__":
    sys.exit(main())

"""How fast this machine draws: our own speed suite, each part in a process of its own.

Speed is told as a ratio taken in one run, ours against another way to compute the same, or against
what the machine can do at best, since seconds alone say more about the machine than about us.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from webui.jobs.training_race import checkpoint_record
from webui.modules.errors import WebuiError
from webui.modules.types import (
    GenerationPlan,
    LayerUse,
    ModelKind,
    ModelRecord,
    SamplingPlan,
    Step,
)
from webui.settings import DeviceSettings, Settings

Figures = dict[str, float]
"""Names with their units, and numbers."""

REPEATS: Final = 3


def main(settings: Settings, *, as_json: bool) -> None:
    """Measure every part and print one line each, or one JSON object at the end."""
    found: dict[str, Figures | str] = {}
    with TemporaryDirectory(prefix="atelier-bench-") as folder:
        for name in PARTS:
            found[name] = _measured(name, settings, Path(folder))
            if not as_json:
                _say(f"{name}: {_line(found[name])}")
    if as_json:
        _say(json.dumps(found, indent=2))


def _measured(name: str, settings: Settings, folder: Path) -> Figures | str:
    """Run one part in a fresh process, so that its memory is its own; a failure is told as text."""
    told = {
        "name": name,
        "folder": str(folder),
        "data_dir": str(settings.folders.data_dir),
        "device": asdict(settings.device),
    }
    command = [sys.executable, "-m", "webui.bench", json.dumps(told)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - this very file
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def _line(figures: Figures | str) -> str:
    if isinstance(figures, str):
        return figures
    return ", ".join(f"{name} {value:g}" for name, value in figures.items())


def _say(text: str) -> None:
    print(text, flush=True)


# Parts ------------------------------------------------------------------------------------------


def roofline(_told: Mapping[str, Any]) -> Figures:
    """What this machine can do at best, in thousand million operations a second."""
    import torch

    from webui.modules.device import choose

    device = choose(**_told["device"]).torch
    side, figures = 2048, Figures()
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        square = torch.randn(side, side, device=device).to(dtype)
        seconds = _best(lambda square=square: square @ square)
        figures[f"matmul {name} GFLOP/s"] = round(2 * side**3 / seconds / 1e9, 1)
        picture = torch.randn(2, 320, 64, 64, device=device).to(dtype)
        picture = picture.to(memory_format=torch.channels_last)
        kernel = torch.randn(320, 320, 3, 3, device=device).to(dtype)
        kernel = kernel.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            seconds = _best(
                lambda kernel=kernel, picture=picture: torch.conv2d(picture, kernel, padding=1)
            )
        work = 2 * 2 * 320 * 320 * 9 * 64 * 64
        figures[f"convolution {name} GFLOP/s"] = round(work / seconds / 1e9, 1)
    return figures


def starter(told: Mapping[str, Any]) -> Figures:
    """A picture of the checkpoint that comes with a clone, with its own settings."""
    from webui.jobs.worker import build_engine

    path = Path(told["data_dir"]) / "models" / "Stable-diffusion" / "starter.safetensors"
    suggested = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["suggested"]
    engine, _ = build_engine(DeviceSettings(**told["device"]))
    plan = replace(
        _plan(path, steps=suggested["steps"]),
        width=suggested["width"],
        height=suggested["height"],
    )
    began = time.perf_counter()
    list(engine.draw(plan, _unseen))
    first = time.perf_counter() - began
    warm = median(_seconds(lambda: list(engine.draw(plan, _unseen))) for _ in range(REPEATS))
    return {"first s": round(first, 3), "warm s": round(warm, 3), "peak GB": _peak()}


def strip(told: Mapping[str, Any]) -> Figures:
    """What each add-on does, of an embedding, a LoRA and a VAE, against the pictures one by one."""
    from webui.jobs.worker import build_engine
    from webui.services.ablation import parts_of, without

    path = Path(told["data_dir"]) / "models" / "Stable-diffusion" / "starter.safetensors"
    engine, _ = build_engine(DeviceSettings(**told["device"]))
    layers = tuple(_random_add_ons(Path(told["folder"])))
    plan = replace(_plan(path, steps=20), width=128, height=128, layers=layers)
    plan = replace(plan, vae=_random_vae(Path(told["folder"])))
    words = " ".join((*plan.prompts, layers[0].name))
    whole = replace(plan, prompts=(words,))
    parts = parts_of(whole)
    left_out = [*(parts[count:] for count in range(len(parts) + 1)), *([part] for part in parts)]
    plans = list(dict.fromkeys(without(whole, out) for out in left_out))

    def draw_alone() -> None:
        for each in plans:
            list(engine.draw(each, _unseen))

    def draw_together() -> None:
        with engine.sharing():
            draw_alone()

    draw_together()
    pairs = [(_seconds(draw_together), _seconds(draw_alone)) for _ in range(REPEATS)]
    return {
        "pictures": len(plans),
        "strip s": round(median(together for together, _ in pairs), 2),
        "one by one s": round(median(alone for _, alone in pairs), 2),
        "ratio": round(median(together / alone for together, alone in pairs), 3),
    }


def _random_add_ons(folder: Path) -> Iterator[LayerUse]:
    """Write an embedding and a LoRA for the starter's widths, and yield how they are used."""
    import torch

    from webui.modules.weights.write import write_safetensors

    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    files = {
        "bench-word": (ModelKind.EMBEDDING, {"emb_params": torch.randn(1, 128)}),
        "bench-lora": (
            ModelKind.LORA,
            {
                f"{layer}.lora_up.weight": torch.randn(160, 4),
                f"{layer}.lora_down.weight": torch.randn(4, 128),
            },
        ),
    }
    for name, (kind, tensors) in files.items():
        path = folder / f"{name}.safetensors"
        write_safetensors(path, tensors, {})
        yield LayerUse(model=replace(checkpoint_record(path), kind=kind, family=""), name=name)


def _random_vae(folder: Path) -> ModelRecord:
    """Write a VAE about as large as the starter's, in a file of its own."""
    from webui.modules.networks.random import SD1, write_random_checkpoint

    small = replace(
        SD1,
        unet=replace(SD1.unet, widths=(32,) * 4, context=32, heads=(1,) * 4),
        vae=replace(SD1.vae, widths=(32, 32, 64, 64)),
        text=replace(SD1.text, width=32, inner=32, layers=1, heads=1),
    )
    path = folder / "bench-vae.safetensors"
    write_random_checkpoint(path, small)
    return replace(checkpoint_record(path), kind=ModelKind.VAE)


def sd15(told: Mapping[str, Any]) -> Figures:
    """Loading, stepping and decoding with a checkpoint of the size of Stable Diffusion 1.5."""
    from webui.jobs.worker import build_engine

    path = _random_checkpoint(Path(told["folder"]))
    engine, _ = build_engine(DeviceSettings(**told["device"]))
    plan = _plan(path, steps=REPEATS + 1)
    load = _seconds(lambda: engine.load(plan.checkpoint))
    ticks: list[float] = []
    began = time.perf_counter()
    list(engine.draw(plan, lambda _step: ticks.append(time.perf_counter())))
    ended = time.perf_counter()
    steps = [later - earlier for earlier, later in pairwise(ticks)]
    return {
        "load s": round(load, 2),
        "text and first step s": round(ticks[0] - began, 2),
        "step s": round(median(steps), 2),
        "decode s": round(ended - ticks[-1], 2),
        "peak GB": _peak(),
    }


def against_diffusers(told: Mapping[str, Any]) -> Figures:
    """One guided step at 512 x 512: ours against diffusers' own in 32 bits, turn by turn."""
    import torch

    from webui.modules.device import choose
    from webui.modules.networks.checkpoint import load_checkpoint
    from webui.modules.networks.predict import UNetPredictor
    from webui.modules.networks.reference import PlainUNet

    device = choose(**told["device"])
    path = _random_checkpoint(Path(told["folder"]))
    checkpoint = load_checkpoint(checkpoint_record(path), device)
    ours, plain = UNetPredictor(checkpoint, device), PlainUNet(checkpoint, device)
    inputs = (torch.randn(2, 4, 64, 64), torch.full((2,), 500.0), torch.randn(2, 77, 768))
    moved = tuple(tensor.to(device.torch) for tensor in inputs)
    with torch.inference_mode():
        warm = [ours(*moved), plain(*moved)]
        pairs = [
            (_seconds(lambda: ours(*moved)), _seconds(lambda: plain(*moved)))
            for _ in range(REPEATS)
        ]
    return {
        "ours s": round(median(mine for mine, _ in pairs), 2),
        "diffusers float32 s": round(median(other for _, other in pairs), 2),
        "ratio": round(median(mine / other for mine, other in pairs), 3),
        "largest difference": round(float((warm[0] - warm[1]).abs().max()), 4),
    }


def server(told: Mapping[str, Any]) -> Figures:
    """From the command to a server that answers, and to a worker that can draw."""
    import httpx

    command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--port", "7999"]
    root = Path(__file__).resolve().parent.parent
    with TemporaryDirectory(prefix="atelier-bench-") as folder:
        began = time.perf_counter()
        running = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--data-dir", folder], cwd=root, stdout=subprocess.PIPE, text=True
        )
        try:
            address = _address(running)
            while True:
                try:
                    httpx.get(f"{address}/healthz").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.05)
            return {"ready s": round(time.perf_counter() - began, 2)}
        finally:
            running.terminate()
            running.wait(30)


LIBRARY_FILES: Final = 10_000
"""Files of the library that is measured."""


def library(told: Mapping[str, Any]) -> Figures:
    """A library of ten thousand files: seen for the first time, by a new program, and again."""
    from webui.library.index import ModelIndex
    from webui.services.browsing import Search, matching, page_of

    root = Path(told["folder"]) / "library"
    folders = write_library(root, files=LIBRARY_FILES)

    def seconds(index: ModelIndex) -> float:
        return _seconds(lambda: [index.cards(kind) for kind in folders])

    cold = seconds(ModelIndex(root / "atelier.sqlite3", folders))
    known = ModelIndex(root / "atelier.sqlite3", folders)
    warm, again = seconds(known), seconds(known)
    known.refresh()
    figures = {"cold s": cold, "warm s": warm, "again s": again, "looked through s": seconds(known)}
    cards = known.cards(ModelKind.LORA)
    page = Search(text="file 99 word", limit=60)
    figures["search s"] = _seconds(lambda: page_of(matching(cards, page.text), page, counted=True))
    return {name: round(value, 3) for name, value in figures.items()}


def write_library(root: Path, *, files: int) -> dict[ModelKind, tuple[Path, ...]]:
    """Write files that are all header, a tenth of them VAEs and embeddings, and say where."""
    shapes = {
        ModelKind.LORA: {
            f"lora_unet_down_blocks_{block}_attentions_0_proj_{side}.lora_{end}.weight": size
            for block in range(3)
            for side in ("in", "out")
            for end, size in (("up", (320, 4)), ("down", (4, 320)))
        },
        ModelKind.EMBEDDING: {"emb_params": (4, 768)},
        ModelKind.VAE: {"decoder.mid.block_1.conv1.weight": (4, 4, 3, 3)},
    }
    folders = {kind: (root / kind,) for kind in shapes}
    for number in range(files):
        kind = {0: ModelKind.EMBEDDING, 1: ModelKind.VAE}.get(number % 20, ModelKind.LORA)
        folder = root / kind / f"folder {number % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"file {number}.safetensors"
        _write_header(path, shapes[kind], {"ss_output_name": f"file {number}"})
        if number % 4 == 0:
            path.with_suffix(".json").write_text(json.dumps({"activation text": f"word {number}"}))
            path.with_suffix(".preview.png").touch()
    return folders


def _write_header(
    path: Path, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file whose tensors are a hole that takes no room."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def texts(_told: Mapping[str, Any]) -> Figures:
    """Prompts and settings texts of any shape: milliseconds for 20,000 characters, and growth.

    Growth is the time for 100,000 characters over ten times that for 10,000: 1 is linear, 10 is
    quadratic.
    """
    figures = Figures()
    for name, reader in text_readers().items():
        pairs = [_growth(reader, shape) for shape in TEXT_SHAPES]
        figures[f"{name} ms"] = round(max(slowest for slowest, _ in pairs) * 1000, 1)
        figures[f"{name} growth"] = round(max(growth for _, growth in pairs), 2)
    return figures


def _growth(reader: Callable[[str], object], shape: str) -> tuple[float, float]:
    """Return the seconds for 20,000 characters, and how time grows from 10,000 to 100,000."""

    def seconds(size: int) -> float:
        text, found = (shape * size)[:size], float("inf")
        for _ in range(2 * REPEATS):
            began = time.process_time()
            reader(text)
            found = min(found, time.process_time() - began)
        return found

    longest = seconds(100_000)
    # What takes no time at all has no growth that could be told from a clock's ticks.
    growth = longest / seconds(10_000) / 10 if longest > TICK else 0.0
    return seconds(20_000), growth


TICK: Final = 0.02
"""Seconds; shorter times say more about the clock than about the reader."""

TEXT_SHAPES: Final = (
    "a cat, (sitting:1.2), [on:under:0.5] a mat, ", "(", "[", "]", "[a:", "[a|", "((a", "[[a]:",
    "(a:1.1)", "[a:b:0.5]", "[a:b:c:d]", "\\(", "<a:", "<lora:x:1>", "a AND ", "BREAK ", ":1.2)",
    "1:", "a: ", 'aa: "', 'aa: "\\",', "aa: b, ", "Negative prompt: ", "\n", " ", "a",
)  # fmt: skip
"""What prompts and settings texts are made of here, hostile ones among them."""


def text_readers() -> dict[str, Callable[[str], object]]:
    """Return everything that reads texts of strangers, by name."""
    from webui.library.infotext import parse
    from webui.modules.errors import RangeError
    from webui.modules.text.prompt import Clock, split_and, take_tags, timeline, weighted
    from webui.modules.text.prompt_notes import Reading, prompt_notes

    clock = Clock(steps=20)

    def weigh(text: str) -> object:
        try:
            return weighted(text)
        except RangeError:
            return None

    return {
        "tags": take_tags,
        "AND": split_and,
        "schedule": lambda text: timeline(text, Clock(steps=2)),
        "emphasis": weigh,
        "notes": lambda text: prompt_notes(text, "", Reading(clocks=(clock,))),
        "infotext": lambda text: parse(f"a cat\nSteps: 1, Seed: 2, Size: 8x8, {text}"),
    }


LORA_REPEATS: Final = 5


def lora(told: Mapping[str, Any]) -> Figures:
    """A LoRA of rank 32 on a checkpoint of true size: laid on, at each step, taken off.

    Seconds are the best of several; "first" has the file read, though not from a cold disk. "Work"
    is the processors' time divided among the threads: what it would take with nobody else there.
    For the ratio of a step the network is asked turn by turn with the LoRA and without it.
    """
    import torch

    from webui.jobs.worker import build_engine
    from webui.modules.layers.stack import Wardrobe
    from webui.modules.networks.predict import UNetPredictor
    from webui.modules.networks.random import write_random_lora

    path = Path(told["folder"]) / "lora.safetensors"
    layers = write_random_lora(path)
    record = ModelRecord(path=path, kind=ModelKind.LORA, name=path.name)
    engine, _ = build_engine(DeviceSettings(**told["device"]))
    checkpoint = engine.load(checkpoint_record(_random_checkpoint(path.parent)))
    network = UNetPredictor(checkpoint, engine.device)
    inputs = (torch.randn(2, 4, 32, 32), torch.full((2,), 500.0), torch.randn(2, 77, 768))
    moved = tuple(tensor.to(engine.device.torch) for tensor in inputs)
    found: dict[str, list[float]] = {}

    def job(name: str, weight: float, work: Callable[[], object] = lambda: None) -> None:
        """Time a job's laying on and taking off; its work does not count."""
        use = LayerUse(model=record, weight=weight, text_weight=weight)
        began, worked = time.perf_counter(), time.process_time()
        with wardrobe.laid_on(checkpoint, [use], engine.device):
            found.setdefault(name, []).append(time.perf_counter() - began)
            shared = (time.process_time() - worked) / torch.get_num_threads()
            found.setdefault(f"{name.removesuffix(' s')} work s", []).append(shared)
            work()
            began = time.perf_counter()
        found.setdefault("off s", []).append(time.perf_counter() - began)

    def step(name: str) -> None:
        found.setdefault(name, []).append(_seconds(lambda: network(*moved)))

    with torch.inference_mode():
        network(*moved)
        for _ in range(LORA_REPEATS):
            wardrobe = Wardrobe()
            job("first s", 1.0)
            job("again s", 1.0, lambda: step("with"))
            step("without")
            job("other strength s", 0.5)
            job("other strength s", 0.6)
    best = {name: min(seconds) for name, seconds in found.items()}
    figures = {name: round(value, 3) for name, value in best.items() if name.endswith(" s")}
    return {"layers": layers, **figures, "step ratio": round(best["with"] / best["without"], 3)}


def training(told: Mapping[str, Any]) -> Figures:
    """Steps of a LoRA of rank 16 at 512 x 512: ours against plain diffusers in 32 bits, in turns.

    "Saving" is with memory saved on both sides. "At work" is the share of the time that went into
    forward pass, backward pass and correction; the rest is loading, noise and the log.
    """
    from webui.jobs.training_race import Race, run_race

    race = Race(
        checkpoint=_random_checkpoint(Path(told["folder"])),
        folder=Path(told["folder"]),
        device=told["device"],
        side=512,
        repeats=REPEATS,
    )
    return run_race(race)


PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Figures]]] = {
    "library": library,
    "texts": texts,
    "roofline": roofline,
    "starter": starter,
    "strip": strip,
    "sd15": sd15,
    "lora": lora,
    "training": training,
    "against_diffusers": against_diffusers,
    "server": server,
}
"""Everything that is measured, in this order."""


# What the parts share ---------------------------------------------------------------------------


def _random_checkpoint(folder: Path) -> Path:
    """Return a random checkpoint of true size, written once a run."""
    from webui.modules.networks.random import write_random_checkpoint

    path = folder / "random-sd15.safetensors"
    if not path.exists():
        write_random_checkpoint(path)
    return path


def _plan(path: Path, *, steps: int) -> GenerationPlan:
    return GenerationPlan(
        checkpoint=checkpoint_record(path),
        prompts=("a red apple on a blue background",),
        negative_prompts=("",),
        seeds=(1,),
        variation_seeds=(0,),
        width=512,
        height=512,
        sampling=SamplingPlan(sampler="DPM++ 2M", scheduler="karras", steps=steps, guidance=7.0),
    )


def _unseen(_step: Step) -> None:
    """Watch without doing anything."""


def _address(running: "subprocess.Popen[str]") -> str:
    """Read from what the server says where it listens."""
    for line in running.stdout or ():
        for word in line.split():
            if word.startswith("http://"):
                return word.rstrip("/.")
    message = "the server said no address"
    raise RuntimeError(message)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _best(work: Callable[[], object]) -> float:
    work()
    return min(_seconds(work) for _ in range(2 * REPEATS))


def _peak() -> float:
    """Return the largest memory that this process held, in thousand million bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    try:
        _say(json.dumps(PARTS[request["name"]](request)))
    except (WebuiError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(1)

"""Where and in which number format the networks run: chosen once, handed down, with the reasons."""

import importlib
import importlib.util
import platform
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import nn

from webui.modules.errors import DeviceUnavailableError

Precision = Literal["auto", "exact", "bf16", "fp16"]
Attention = Literal["auto", "sdpa", "chunked", "xformers"]

PRECISIONS: Final = ("auto", "exact", "bf16", "fp16")
ATTENTIONS: Final = ("auto", "sdpa", "chunked", "xformers")

SMALL: Final = 50_000_000
"""A network of fewer weights computes on one thread: in each of its many little steps several would
wait for each other longer than they compute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """Everything that decides how, and never what, the networks compute.

    Attributes:
        name: As torch names it: "cpu", "cuda:0", "mps".
        unet: Number format of the denoising network.
        text: Number format of the text encoder.
        vae: Number format of the autoencoder.
        channels_last: Keep pictures with channels innermost, which convolutions like.
        attention: How attention is computed.
        notes: Why, in sentences for the person.
        one_thread_for_small: Let small networks compute on one thread.
    """

    name: str
    unet: torch.dtype
    text: torch.dtype
    vae: torch.dtype
    channels_last: bool
    attention: Literal["sdpa", "chunked", "xformers"]
    notes: tuple[str, ...] = ()
    one_thread_for_small: bool = False

    @property
    def torch(self) -> torch.device:
        """The same as torch's own value."""
        return torch.device(self.name)

    @property
    def exact(self) -> bool:
        """Whether everything runs in 32 bits, as A1111's reference pictures do."""
        return self.unet == torch.float32

    @contextmanager
    def threads_for(self, network: nn.Module) -> Generator[None]:
        """Let no more threads compute than the network is worth, until the end of the block."""
        usual = torch.get_num_threads()
        if self.one_thread_for_small:
            weights = sum(part.numel() for part in network.parameters())
            torch.set_num_threads(1 if weights < SMALL else usual)
        try:
            yield
        finally:
            torch.set_num_threads(usual)


def choose(
    device: str = "auto",
    precision: str = "auto",
    attention: str = "auto",
    threads: int | None = None,
    *,
    one_thread_for_small: bool = False,
) -> Device:
    """Return the device for this machine and these wishes.

    Args:
        device: "auto", "cpu", "cuda", "cuda:1" ..., "mps".
        precision: "auto", "exact" (32 bits and A1111's arithmetic), "bf16" or "fp16".
        attention: "auto", "sdpa", "chunked" or "xformers".
        threads: Threads for the CPU; None leaves torch's own number.
        one_thread_for_small: See ``Device``.

    Raises:
        DeviceUnavailableError: If a wish cannot be met on this machine.
    """
    if threads:
        torch.set_num_threads(threads)
    name = _choose_name(device)
    dtype, reason = _choose_dtype(name, precision)
    kind, why = _choose_attention(name, attention, dtype)
    on_cpu = name == "cpu"
    return Device(
        name=name,
        unet=dtype,
        text=torch.float32 if on_cpu else dtype,
        vae=torch.float32 if dtype == torch.float16 else dtype,
        channels_last=dtype != torch.float32,
        attention=kind,
        notes=tuple(note for note in (reason, why) if note),
        one_thread_for_small=one_thread_for_small,
    )


def _choose_name(wish: str) -> str:
    """Return a device that is really there."""
    if wish == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = wish.partition(":")
    if kind == "cuda" and torch.cuda.is_available():
        index = int(number) if number.isdigit() else 0
        if index < torch.cuda.device_count():
            return f"cuda:{index}"
    elif kind == "mps" and torch.backends.mps.is_available():
        return "mps"
    elif wish == "cpu":
        return "cpu"
    message = f"the device {wish!r} is not on this machine"
    raise DeviceUnavailableError(message, hint="Use --device auto or --device cpu.", value=wish)


def _choose_dtype(name: str, precision: str) -> tuple[torch.dtype, str]:
    """Return the number format of the denoising network and why."""
    if precision not in PRECISIONS:
        message = f"the precision {precision!r} does not exist"
        hint = f"Use one of: {', '.join(PRECISIONS)}."
        raise DeviceUnavailableError(message, hint=hint, value=precision)
    if precision == "exact":
        return torch.float32, "32-bit numbers, as asked"
    if name == "cpu":
        return _choose_cpu_dtype(precision)
    if precision == "bf16" or (precision == "auto" and name == "mps"):
        return torch.bfloat16, "bfloat16 numbers"
    return torch.float16, "16-bit numbers on the graphics card"


def _choose_cpu_dtype(precision: str) -> tuple[torch.dtype, str]:
    if precision == "fp16":
        message = "16-bit floats run over a hundred times slower than 32-bit ones on a CPU"
        raise DeviceUnavailableError(message, hint="Use --precision bf16 or auto.", value=precision)
    if precision == "bf16":
        return torch.bfloat16, "bfloat16 numbers, as asked"
    if bf16_is_fast(machine=platform.machine(), processor=_processor(), amx=_has_amx()):
        return torch.bfloat16, "bfloat16 numbers: this processor has fast instructions for them"
    return torch.float32, "32-bit numbers: bfloat16 would not be faster on this processor"


def bf16_is_fast(*, machine: str, processor: str, amx: bool) -> bool:
    """Tell whether a CPU multiplies bfloat16 faster than float32, from what it is.

    Having the instructions is not enough. AMD's since Zen 4, Arm's, and Intel's with AMX are two to
    five times faster than float32; Intel's AVX-512 ones without AMX took twice as long where we
    measured (``bench`` shows both). What a processor is does not change from one start to the
    next, so equal wishes give equal pictures; a stop-watch could not promise that.

    Args:
        machine: Kind of instruction set, such as ``x86_64``.
        processor: What the system says of the processor.
        amx: Whether it has matrix tiles.
    """
    if amx:
        return True
    if machine.lower() in ("aarch64", "arm64"):
        return "bf16" in processor
    return "avx512_bf16" in processor and "AuthenticAMD" in processor


def _processor() -> str:
    """Return what the system says of the processor: flags and maker."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()


def _has_amx() -> bool:
    return "amx_bf16" in _processor()


def _choose_attention(
    name: str, wish: str, dtype: torch.dtype
) -> tuple[Literal["sdpa", "chunked", "xformers"], str]:
    """Return how attention is computed; a wish that cannot be met is answered with a reason."""
    if wish not in ATTENTIONS:
        message = f"the attention {wish!r} does not exist"
        hint = f"Use one of: {', '.join(ATTENTIONS)}."
        raise DeviceUnavailableError(message, hint=hint, value=wish)
    if wish == "xformers":
        missing = _why_no_xformers(name)
        if not missing:
            return "xformers", "attention by xformers"
        return "sdpa", f"attention by torch instead of xformers: {missing}"
    if wish == "sdpa":
        return "sdpa", ""
    if wish == "chunked" or (name == "cpu" and dtype == torch.bfloat16):
        return "chunked", ""
    return "sdpa", ""


def _why_no_xformers(name: str) -> str:
    """Return why xformers cannot be used here; empty if it can. It is imported only when asked."""
    if not name.startswith("cuda"):
        return "it has no kernels for this device"
    if importlib.util.find_spec("xformers") is None:
        return "it is not installed (the extra is called xformers)"
    try:
        operators: Any = importlib.import_module("xformers.ops")  # slow, so only when asked for
        probe = torch.zeros(1, 2, 1, 40, device=name, dtype=torch.float16)
        operators.memory_efficient_attention(probe, probe, probe)
    except (ImportError, OSError, NotImplementedError, RuntimeError) as error:
        return f"its probe failed ({error})"
    return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory is full; on a CPU torch says so in words alone."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = ("not enough memory", "can't allocate")
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)

"""Reading a torch pickle as data: nothing in the file can name code that we then run.

A pickle is a program for a small stack machine. This reader is such a machine with the dangerous
parts left out: the only names it knows are those with which ``torch.save`` describes a tensor, and
it turns them into plain descriptions, never into calls. Any other name or instruction ends the
reading with an error that says which. Both layouts of torch are read: the zip archive since 1.6,
and the older stream of pickles followed by raw storages.
"""

import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from math import prod
from numbers import Number
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, cast

from webui.modules.errors import ModelFileError, UnsafeModelError

MAX_PICKLE_BYTES: Final = 64 * 1024 * 1024
"""The description of the largest real checkpoint has about 1 MB."""

MAX_WORK: Final = 200_000
"""Instructions of a description and entries that they copy; a large checkpoint needs 100,000."""

MAX_LEAVES: Final = 100_000
"""More tensors and values than this are an attack, not a model."""

MAX_AXES: Final = 16
MAX_SIDE: Final = 1 << 48
"""No tensor has more axes or a longer one; Python would count further than any file reaches."""

MAX_DEPTH: Final = 24
"""Nested dictionaries deeper than this are not a model."""

STORAGE_DTYPES: Final[Mapping[str, str]] = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
"""Torch's storage classes and the types as safetensors names them."""

_ITEM_BYTES: Final = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1,
}  # fmt: skip

_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""The number with which torch began its files before 1.6."""

_INERT: Final = (
    "pytorch_lightning.",
    "lightning_fabric.",
    "lightning.",
    "torch.torch_version.TorchVersion",
    "numpy.",
    "omegaconf.",
)
"""Names that old training programs leave beside the weights; they become empty husks."""


@dataclass(frozen=True, slots=True)
class StorageRef:
    """Which run of bytes in the file a tensor lies on."""

    key: str
    dtype: str
    numel: int


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A tensor described, not built: strides and offset count elements."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """Element type as safetensors names it."""
        return self.storage.dtype


@dataclass(frozen=True, kw_only=True, slots=True)
class PickledFile:
    """All that a torch pickle holds.

    Attributes:
        format: "pickle" (zip) or "pickle-legacy".
        tensors: Descriptions by name; nested dictionaries are joined with dots, and the wrapper
            ``state_dict`` of training programs is taken off.
        values: Numbers, texts and lists by the same names.
        storages: Where each storage's bytes lie: member name in the zip, or offset in the file.
    """

    format: str
    tensors: Mapping[str, PickledTensor]
    values: Mapping[str, Any]
    storages: Mapping[str, str | int]


DAMAGES: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError,
    OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError,
)  # fmt: skip
"""What zipfile, pickletools and our own machine raise at a damaged file."""


def read_pickled_tensors(path: Path) -> PickledFile:
    """Return the tensors that a ``.ckpt``, ``.pt``, ``.pth`` or ``.bin`` describes.

    Raises:
        ModelFileError: If it is cut off or not a torch file.
        UnsafeModelError: If it names anything but tensors and plain values.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                return _read_zip(path, file)
            file.seek(0)
            return _read_legacy(path, file)
    except DAMAGES as error:
        message = f"{path.name} is cut off or not a torch file ({error})"
        raise ModelFileError(
            message, hint="Download or copy the file again.", value=path.name
        ) from error


def _read_zip(path: Path, file: BinaryIO) -> PickledFile:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            message = f"{len(names)} descriptions in the archive"
            raise ValueError(message)
        if archive.getinfo(names[0]).file_size > MAX_PICKLE_BYTES:
            message = "its description is too long"
            raise ValueError(message)
        root = names[0].removesuffix("data.pkl")
        content = _Machine(path).run(archive.read(names[0]))
        sizes = {info.filename: info for info in archive.infolist()}
    tensors, values = _flatten(content)
    storages: dict[str, str | int] = {}
    for tensor in tensors.values():
        member = f"{root}data/{tensor.storage.key}"
        if sizes[member].compress_type != zipfile.ZIP_STORED:
            message = "its tensors are compressed"
            raise ValueError(message)
        _check_bounds(tensor, sizes[member].file_size)
        storages[tensor.storage.key] = member
    return PickledFile(format="pickle", tensors=tensors, values=values, storages=storages)


def _read_legacy(path: Path, file: BinaryIO) -> PickledFile:
    stream = BytesIO(file.read(MAX_PICKLE_BYTES))
    magic, _version, _system, content, keys = (_Machine(path).run_next(stream) for _ in range(5))
    if magic != _LEGACY_MAGIC:
        message = "torch's magic number is missing"
        raise ValueError(message)
    tensors, values = _flatten(content)
    sizes = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    position, storages = stream.tell(), dict[str, str | int]()
    end = path.stat().st_size
    for key in cast("list[str]", keys):
        file.seek(position)
        numel = int.from_bytes(file.read(8), "little")
        storages[key] = position + 8
        position += 8 + numel * _ITEM_BYTES[sizes[key].dtype if key in sizes else "F32"]
    if position > end:
        message = "tensors are missing at the end"
        raise ValueError(message)
    for tensor in tensors.values():
        _check_bounds(tensor, end - int(storages[tensor.storage.key]))
    return PickledFile(format="pickle-legacy", tensors=tensors, values=values, storages=storages)


def _check_bounds(tensor: PickledTensor, available: int) -> None:
    """Refuse a tensor that reaches outside its storage or is blown up by tricky strides."""
    item = _ITEM_BYTES[tensor.dtype]
    if min((*tensor.shape, *tensor.stride, tensor.offset), default=0) < 0:
        message = "a tensor has a negative size"
        raise ValueError(message)
    if len(tensor.shape) != len(tensor.stride):
        message = "a tensor's strides do not match its shape"
        raise ValueError(message)
    last = sum((side - 1) * step for side, step in zip(tensor.shape, tensor.stride, strict=True))
    empty = 0 in tensor.shape
    if not empty and (tensor.offset + last + 1) * item > available:
        message = "a tensor reaches beyond the end of its data"
        raise ValueError(message)
    if prod(tensor.shape) * item > available:
        message = "a tensor is larger than its data"
        raise ValueError(message)


def _flatten(content: object) -> tuple[dict[str, PickledTensor], dict[str, Any]]:
    """Split nested dictionaries into tensors and plain values by dotted name."""
    tensors: dict[str, PickledTensor] = {}
    values: dict[str, Any] = {}
    for number, (name, value) in enumerate(_leaves(_unwrapped(content), "", 0)):
        if number >= MAX_LEAVES:
            message = "it holds too many values"
            raise ValueError(message)
        if isinstance(value, PickledTensor):
            tensors[name] = value
        else:
            values[name] = value
    return tensors, values


def _unwrapped(content: object) -> object:
    """Take off the dictionary that training programs put around the weights."""
    if not isinstance(content, dict):
        return content
    fields = cast("dict[object, object]", content)
    inner = fields.get("state_dict")
    return cast("object", inner) if isinstance(inner, dict) else fields


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, object]]:
    if depth > MAX_DEPTH:
        message = "it is nested too deeply"
        raise ValueError(message)
    if isinstance(value, dict) and value:
        for key, inner in cast("dict[object, object]", value).items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list | tuple) and any(
        isinstance(inner, PickledTensor | dict | list) for inner in cast("list[object]", value)
    ):
        for number, inner in enumerate(cast("list[object]", value)):
            yield from _leaves(inner, f"{name}.{number}" if name else str(number), depth + 1)
    else:
        yield name, value


@dataclass(frozen=True, slots=True)
class _Name:
    """A global name met in the pickle; never looked up."""

    text: str


@dataclass(slots=True)
class _Husk:
    """What an inert name leaves behind."""

    name: str


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark on the stack."""


def _tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    storage, offset, shape, stride, *_ = arguments
    if not isinstance(storage, StorageRef):
        message = "a tensor without data"
        raise TypeError(message)
    if len(shape) > MAX_AXES or any(abs(side) > MAX_SIDE for side in (offset, *shape, *stride)):
        message = "a tensor of an impossible shape"
        raise ValueError(message)
    return PickledTensor(
        storage,
        int(offset),
        tuple(int(side) for side in shape),
        tuple(int(step) for step in stride),
    )


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Describe an ordered dictionary made of pairs, or an empty one."""
    return {_plain(key): value for pairs in arguments for key, value in pairs}


def _plain(key: object) -> object:
    """Return a dictionary's key; a nest of tuples could take for ever to hash or to write."""
    if key is None or isinstance(key, str | bytes | Number | _Name):
        return key
    message = f"a {type(key).__name__} as the name of an entry"
    raise TypeError(message)


_DESCRIBED: Final[Mapping[str, Callable[[tuple[Any, ...]], object]]] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": lambda arguments: arguments[0],
    "torch._tensor._rebuild_from_type_v2": lambda arguments: _tensor(arguments[2]),
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": lambda _: dict[Any, Any](),
    "builtins.set": lambda arguments: arguments[0] if arguments else list[Any](),
    "__builtin__.set": lambda arguments: arguments[0] if arguments else list[Any](),
    "torch.Size": lambda arguments: arguments[0],
    "torch.device": lambda arguments: arguments[0],
}
"""The names we know, and the plain value that stands for each; ours, not the file's."""


@dataclass(slots=True)
class _Machine:
    """The stack machine: one method per group of instructions."""

    path: Path
    stack: list[Any] = field(default_factory=list[Any])
    memo: dict[int, Any] = field(default_factory=dict[int, Any])
    work: int = 0

    def run(self, program: bytes) -> object:
        """Run one pickle and return what it describes."""
        return self.run_next(BytesIO(program))

    def run_next(self, stream: BytesIO) -> object:
        """Run the pickle that starts here; the stream then stands behind it."""
        for opcode, argument, _ in pickletools.genops(stream):
            self.spend(1)
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name in _PUSHES:
                self.stack.append(argument)
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, argument)
            else:
                self._refuse(f"the pickle instruction {opcode.name}")
        message = "its description is cut off"
        raise EOFError(message)

    def spend(self, work: int) -> None:
        """Count what has been done; a description that never ends is refused."""
        self.work += work
        if self.work > MAX_WORK:
            message = "its description is too long"
            raise ValueError(message)

    def push_name(self, argument: Any) -> None:
        """Take a name as a name; refuse those that are not on the list."""
        if argument is None:
            name, module = self.stack.pop(), self.stack.pop()
            if not isinstance(name, str) or not isinstance(module, str):
                self._refuse("a name that is not a text")
            text = f"{module}.{name}"
        else:
            text = str(argument).replace(" ", ".", 1)
        if not _is_harmless(text):
            self._refuse(f"the name {text[:80]!r}")
        self.stack.append(_Name(text))

    def reduce(self, _: Any) -> None:
        """Describe what calling a known name would have made."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            self._refuse("a call of something that is not a name")
        elif name.text in _DESCRIBED:
            given = cast("tuple[object, ...]", arguments)
            self.spend(sum(len(cast("Any", one)) for one in given if isinstance(one, list | tuple)))
            self.stack.append(_DESCRIBED[name.text](cast("tuple[Any, ...]", arguments)))
        elif name.text.startswith(_INERT):
            self.stack.append(_Husk(name.text))
        else:
            self._refuse(f"a call of {name.text[:80]!r}")

    def build(self, _: Any) -> None:
        """Drop the state of husks; our descriptions have none."""
        self.stack.pop()

    def persistent(self, _: Any) -> None:
        """Read torch's reference to a storage: ("storage", type, key, place, count, ...)."""
        tag, kind, key, _place, numel, *_rest = self.stack.pop()
        if tag != "storage" or not isinstance(kind, _Name):
            self._refuse("an unknown reference")
        dtype = STORAGE_DTYPES[kind.text.rsplit(".", 1)[-1]]
        self.stack.append(StorageRef(str(_plain(key)), dtype, int(numel)))

    def after_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        place = len(self.stack) - 1
        while not isinstance(self.stack[place], _Mark):
            place -= 1
            if place < 0:
                message = "a mark is missing"
                raise ValueError(message)
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def set_items(self, items: list[Any]) -> None:
        """Put pairs into the dictionary on top."""
        if isinstance(self.stack[-1], dict):
            target = cast("dict[Any, Any]", self.stack[-1])
            for number, (key, value) in enumerate(pairwise(items)):
                if number % 2 == 0:
                    target[_plain(key)] = value

    def extend(self, items: list[Any]) -> None:
        """Put items at the end of the list on top."""
        if isinstance(self.stack[-1], list):
            cast("list[Any]", self.stack[-1]).extend(items)

    def pop_items(self, count: int) -> list[Any]:
        """Take the last ``count`` values."""
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def _refuse(self, what: str) -> NoReturn:
        message = f"{self.path.name} holds {what}, which no tensor needs; it was not run"
        hint = "Do not use this file, or ask its author for a .safetensors version."
        raise UnsafeModelError(message, hint=hint, value=self.path.name)


_TORCH_DTYPES: Final = frozenset(
    {"float", "float16", "float32", "float64", "bfloat16", "half", "double", "int64", "int32",
     "int16", "int8", "uint8", "bool", "long", "int"}
)  # fmt: skip

_PUSHES: Final = frozenset(
    {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
     "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINSTRING", "BINSTRING",
     "STRING", "SHORT_BINBYTES", "BINBYTES"}
)  # fmt: skip
"""Instructions that put their own argument on the stack."""

_STEPS: Final[Mapping[str, Callable[[_Machine, Any], Any]]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "EMPTY_SET": lambda machine, _: machine.stack.append([]),
    "MARK": lambda machine, _: machine.stack.append(_Mark()),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.after_mark(),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.after_mark())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.pop_items(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.pop_items(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.pop_items(3))),
    "LIST": lambda machine, _: machine.stack.append(machine.after_mark()),
    "DICT": lambda machine, _: machine.stack.append(_paired(machine.after_mark())),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop_items(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.after_mark()),
    "APPEND": lambda machine, _: machine.extend(machine.pop_items(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.after_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.after_mark()),
    "GLOBAL": _Machine.push_name,
    "STACK_GLOBAL": _Machine.push_name,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "BINPUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "LONG_BINPUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "PUT": lambda machine, key: machine.memo.update({key: machine.stack[-1]}),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    "BINGET": lambda machine, key: machine.stack.append(machine.memo[key]),
    "LONG_BINGET": lambda machine, key: machine.stack.append(machine.memo[key]),
    "GET": lambda machine, key: machine.stack.append(machine.memo[key]),
}
"""Everything else that a description of tensors needs."""


def _is_harmless(name: str) -> bool:
    """Tell whether a name describes tensors: a builder, a storage, a type, a husk."""
    module, _, leaf = name.rpartition(".")
    known = name in _DESCRIBED or name.startswith(_INERT)
    storage = leaf in STORAGE_DTYPES and module in ("torch", "torch.storage", "torch.cuda")
    return known or storage or (module == "torch" and leaf in _TORCH_DTYPES)


def _paired(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_plain, items[::2]), items[1::2], strict=True))

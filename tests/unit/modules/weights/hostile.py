"""Model files made to do harm, to hang, or to fill the memory."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from typing import Any, Final

LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C

# --------------------------------------------------------------------- pickles that call things


def text(value: str) -> bytes:
    """Return the instruction that pushes a text."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def named(module: str, name: str) -> bytes:
    """Return the instruction that pushes whatever bears a name."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def program(body: bytes) -> bytes:
    """Return a whole pickle."""
    return b"\x80\x04" + body + b"."


def harmful_pickles(command: str, marker: str) -> dict[str, bytes]:
    """Return pickles each of which would leave a marker file if it were run."""
    said = text(command)
    touch = text(f"open({marker!r}, 'w').close()")
    stack_global = text("os") + text("system") + b"\x93"
    return {
        "GLOBAL and REDUCE": program(named("os", "system") + said + b"\x85R"),
        "posix by its own name": program(named("posix", "system") + said + b"\x85R"),
        "STACK_GLOBAL": program(stack_global + said + b"\x85R"),
        "STACK_GLOBAL from the memo": program(
            text("os") + b"\x94" + text("system") + b"\x94" + b"h\x00h\x01\x93" + said + b"\x85R"
        ),
        "INST": program(b"(S" + repr(command).encode() + b"\nios\nsystem\n"),
        "OBJ": program(b"(" + named("os", "system") + said + b"o"),
        "NEWOBJ": program(named("subprocess", "Popen") + said + b"\x85\x81"),
        "NEWOBJ_EX": program(named("subprocess", "Popen") + said + b"\x85}\x92"),
        "eval": program(named("builtins", "eval") + touch + b"\x85R"),
        "exec under its old name": program(named("__builtin__", "exec") + touch + b"\x85R"),
        "getattr of an import": program(
            named("builtins", "getattr")
            + named("builtins", "__import__")
            + text("os")
            + b"\x85R"
            + text("system")
            + b"\x86R"
            + said
            + b"\x85R"
        ),
        "a dotted name": program(text("torch") + text("os.system") + b"\x93" + said + b"\x85R"),
        "torch.hub": program(named("torch.hub", "load") + said + b"\x85R"),
        "torch.load": program(named("torch", "load") + said + b"\x85R"),
        "torch._utils._import_dotted_name": program(
            named("torch._utils", "_import_dotted_name") + text("os.system") + b"\x85R"
        ),
        "torch.jit": program(named("torch.jit._script", "unpackage_script_module") + b")R"),
        "a state for __setstate__": program(
            named("collections", "OrderedDict")
            + b")R}"
            + text("__setstate__")
            + named("os", "system")
            + b"sb"
        ),
        "BUILD on a function": program(named("os", "system") + said + b"b"),
        "a call of what a call gave": program(
            named("functools", "partial") + named("os", "system") + said + b"\x86R)R"
        ),
        "operator.methodcaller": program(
            named("operator", "methodcaller") + text("system") + said + b"\x86R"
        ),
        "an extension code": program(b"\x82\x01" + said + b"\x85R"),
        "a call of a harmless type": program(named("torch", "float32") + said + b"\x85R"),
        "a persistent id that is a call": program(
            text("storage") + named("os", "system") + b"\x86Q"
        ),
        "runpy": program(named("runpy", "run_path") + text(marker) + b"\x85R"),
        "webbrowser": program(named("webbrowser", "open") + text("file:///") + b"\x85R"),
        "numpy's own pickles": program(named("numpy", "load") + said + b"\x85R" + said + b"\x85R"),
    }


def zipped(description: bytes, **members: bytes) -> bytes:
    """Return the layout of ``torch.save`` around a description."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", description)
        for name, content in members.items():
            archive.writestr(f"archive/data/{name}", content)
    return buffer.getvalue()


def legacy(description: bytes, keys: Any = ()) -> bytes:
    """Return the layout of torch before 1.6 around a description."""
    begin = (pickle.dumps(value, 2) for value in (LEGACY_MAGIC, 1001, {"little_endian": True}))
    return b"".join(begin) + description + pickle.dumps(list(keys), 2)


# -------------------------------------------------------------------- pickles that never end


def tensor_on(
    storage: bytes, *, offset: int = 0, shape: Any = (1,), stride: Any = (1,), count: int = 1
) -> bytes:
    """Return a description of one tensor, named "a", on a storage of the zip."""
    reference = b"(" + text("storage") + named("torch", "FloatStorage")
    reference += text(storage.decode()) + text("cpu") + number(count) + b"tQ"
    built = named("torch._utils", "_rebuild_tensor_v2") + b"(" + reference + number(offset)
    built += numbers(shape) + numbers(stride) + b"\x89" + named("collections", "OrderedDict")
    return program(b"}" + text("a") + built + b")RtRs")


def number(value: Any) -> bytes:
    """Return the instruction that pushes a number."""
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    encoded = pickle.encode_long(value)
    return b"\x8b" + struct.pack("<i", len(encoded)) + encoded


def numbers(values: Any) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def nest_of(kind: str, depth: int = 60) -> bytes:
    """Return instructions that leave a nest of 2 ** depth entries on the stack."""
    body = b"]\x940"
    for level in range(depth):
        twice = b"h" + bytes([level]) + b"h" + bytes([level])
        body += (b"(" + twice + b"l" if kind == "list" else twice + b"\x86") + b"\x940"
    return body + b"h" + bytes([depth])


def endless_pickles() -> dict[str, bytes]:
    """Return descriptions that are short and take for ever, or all memory, when followed."""
    tuples, lists = nest_of("tuple"), nest_of("list")
    ordered = named("collections", "OrderedDict")
    return {
        "a nest of lists": zipped(program(lists)),
        "a nest as a key": zipped(program(b"}" + tuples + b"Ns")),
        "a nest as a key in a call": zipped(program(ordered + tuples + b"N\x86\x85\x85R")),
        "a nest as a name": zipped(program(tuples + text("a") + b"\x93")),
        "a nest as a storage's key": zipped(
            program(b"(" + text("storage") + named("torch", "FloatStorage") + tuples + b"NNtQ")
        ),
        "a set copied again and again": zipped(
            program(
                b"]\x94("
                + b"N" * 20_000
                + b"e0"
                + (named("builtins", "set") + b"h\x00\x85R\x94") * 3000
            )
        ),
        "a million instructions": zipped(program(b"N0" * 500_000 + b"}")),
        "a list of itself": zipped(program(b"]\x94h\x00a")),
        "deep brackets": zipped(program(b"]" * 50_000 + b"a" * 49_999)),
        "tuples 30,000 deep": zipped(program(b"}" + b")" + b"\x85" * 30_000 + b"Ns")),
        "a number of a million digits": zipped(program(b"L" + b"9" * 1_000_000 + b"L\n")),
        "an infinite side": zipped(tensor_on(b"0", shape=(float("inf"),)), **{"0": b"abcd"}),
        "a side that is not a number": zipped(
            tensor_on(b"0", shape=(float("nan"),)), **{"0": b"abcd"}
        ),
        "sides of a million bits": zipped(
            tensor_on(b"0", shape=(1 << 1_000_000,) * 12, stride=(1,) * 12), **{"0": b"abcd"}
        ),
        "2 ** 40 elements on four bytes": zipped(
            tensor_on(b"0", shape=(1 << 20, 1 << 20), stride=(0, 0)), **{"0": b"abcd"}
        ),
        "strides beyond the end": zipped(
            tensor_on(b"0", shape=(2,), stride=(1 << 40,)), **{"0": b"abcd"}
        ),
        "a negative stride": zipped(tensor_on(b"0", stride=(-1,)), **{"0": b"abcd"}),
        "a negative offset": zipped(tensor_on(b"0", offset=-1), **{"0": b"abcd"}),
        "an offset beyond the end": zipped(tensor_on(b"0", offset=9), **{"0": b"abcd"}),
        "no such storage": zipped(tensor_on(b"7"), **{"0": b"abcd"}),
        "a thousand axes": zipped(
            tensor_on(b"0", shape=(1,) * 1000, stride=(1,) * 1000), **{"0": b"abcd"}
        ),
        "an old file with a storage of 2 ** 64 elements": legacy(tensor_on(b"0"), keys=["0", "1"])
        + b"\xff" * 16,
        "an old file whose keys are no texts": legacy(program(b"}"), keys=[{}, []]),
        "no end": b"\x80\x02}q\x00",
        "not one instruction": b"\x80\x02",
        "nothing on the stack": b"\x80\x02.",
        "a text longer than the file": b"\x80\x04\x8d" + b"\xff" * 8 + b"a",
    }


# ---------------------------------------------------------------------------- archives


def compressed(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("archive/data.pkl", tensor_on(b"0"))
        archive.writestr("archive/data/0", b"abcd" * 1000)
    return buffer.getvalue()


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100 << 20))
    return buffer.getvalue()


def spoiled_archives() -> dict[str, bytes]:
    """Return zip files that no torch wrote."""
    sound = zipped(tensor_on(b"0"), **{"0": b"abcd"})
    flags = bytearray(sound)
    central = sound.index(b"PK\x01\x02")
    flags[6] |= 1
    flags[central + 8] |= 1
    method = bytearray(sound)
    method[8] = method[central + 10] = 99
    deflated = bytearray(compressed(zipfile.ZIP_DEFLATED))
    deflated[60:80] = bytes(20)
    return {
        "cut in the middle": sound[: len(sound) // 2],
        "only the magic number": sound[:4],
        "encrypted": bytes(flags),
        "an unknown compression": bytes(method),
        "compressed tensors": compressed(zipfile.ZIP_DEFLATED),
        "a damaged description": bytes(deflated),
        "a description of 100 MB": bomb(),
        "no description": zip_of({"archive/version": b"3"}),
        "two descriptions": zip_of({"a/data.pkl": b"\x80\x02}.", "b/data.pkl": b"\x80\x02}."}),
    }


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# ---------------------------------------------------------------------------- safetensors


def safetensors(header: Any, data: bytes = b"") -> bytes:
    """Return a file with this header, sound or not."""
    said = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + data


def entry(shape: Any = (1,), offsets: Any = (0, 4), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def spoiled_safetensors() -> dict[str, bytes]:
    """Return files whose header lies."""
    return {
        "one byte": b"\x01",
        "seven bytes": b"\x08" + bytes(6),
        "zeros": bytes(1000),
        "a header of 4 GB": struct.pack("<Q", 4 << 30) + b"{}",
        "a header of 2 ** 64 bytes": b"\xff" * 8 + b"{}",
        "no JSON": safetensors(b"{not json}"),
        "broken letters": safetensors(b'{"\xff\xfe": 1}'),
        "a list": safetensors([]),
        "brackets without end": safetensors(b"[" * 1_000_000),
        "an entry that is a number": safetensors({"a": 1}),
        "an entry without offsets": safetensors({"a": {"dtype": "F32", "shape": [1]}}),
        "an unknown type": safetensors({"a": entry(dtype="F33")}, b"abcd"),
        "a type that is a list": safetensors({"a": entry(dtype=[])}, b"abcd"),
        "data cut off": safetensors({"a": entry((4,), (0, 16))}, b"abcd"),
        "data left over": safetensors({"a": entry()}, b"abcdefgh"),
        "overlapping tensors": safetensors({"a": entry((2,), (0, 8)), "b": entry((2,), (4, 12))},
                                           bytes(12)),
        "a hole between tensors": safetensors({"a": entry(), "b": entry((1,), (8, 12))}, bytes(12)),
        "negative offsets": safetensors({"a": entry((1,), (-4, 0))}, b"abcd"),
        "offsets backwards": safetensors({"a": entry((1,), (4, 0))}, b"abcd"),
        "offsets beyond 2 ** 64": safetensors({"a": entry((1,), (0, 1 << 70))}, b"abcd"),
        "three offsets": safetensors({"a": entry((1,), (0, 4, 8))}, b"abcd"),
        "a negative side": safetensors({"a": entry((-1,), (0, 4))}, b"abcd"),
        "a side that is not a number": safetensors(
            b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}', b"abcd"
        ),
        "an infinite side": safetensors(
            b'{"a": {"dtype": "F32", "shape": [Infinity], "data_offsets": [0, 4]}}', b"abcd"
        ),
        "a side of 5,000 digits": safetensors(
            b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 4]}}'
        ),
        "100,000 sides": safetensors({"a": entry([10**4000] * 3000, (0, 4))}, b"abcd"),
        "2 ** 40 elements on four bytes": safetensors({"a": entry((1 << 20, 1 << 20))}, b"abcd"),
    }  # fmt: skip

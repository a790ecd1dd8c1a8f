"""The file of a form is the same however the network cuts it into pieces."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.api.multipart import MAX_HEAD, FormFile
from webui.modules.errors import RequestError

TYPE = 'multipart/form-data; boundary="--b"'


def form(content: bytes, name: str = "ink.pt") -> bytes:
    return (
        b'----b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'----b\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.encode()
        + b'"\r\nContent-Type: application/octet-stream\r\n\r\n'
        + content
        + b"\r\n----b--\r\n"
    )


def read(body: bytes, cuts: list[int], content_type: str = TYPE) -> tuple[str, bytes]:
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in pairwise(places):
            yield body[start:end]

    async def whole() -> tuple[str, bytes]:
        file = FormFile(pieces(), content_type)
        name = await file.name()
        return name, b"".join([piece async for piece in file.content()])

    return asyncio.run(whole())


@given(
    st.binary(max_size=200) | st.just(b"\r\n----"), st.lists(st.integers(0, 10_000), max_size=12)
)
def test_cuts_change_nothing(content: bytes, cuts: list[int]) -> None:
    if b"\r\n----b" not in content:
        assert read(form(content), cuts) == ("ink.pt", content)


def test_names_may_hold_quotes_and_all_letters() -> None:
    assert read(form(b"x", '模\\"型.pt'), [])[0] == '模"型.pt'


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        (form(b"x"), "multipart/form-data", "no boundary"),
        (form(b"x")[:-12], TYPE, "too early"),
        (b"", TYPE, "too early"),
        (b"----b--\r\n", TYPE, "no file"),
        (b"x" * (MAX_HEAD * 3), TYPE, "too much"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        read(body, [MAX_HEAD, 2 * MAX_HEAD], content_type)

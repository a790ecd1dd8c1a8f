"""What is said about pictures and jobs, as HTML."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.jobs.views import JobState, JobView, Progress
from webui.library.history import PictureView
from webui.ui import stage
from webui.ui.messages import load_words

WORDS = load_words()

PICTURE = PictureView(
    id="0" * 32,
    owner="ann",
    job_id="1" * 32,
    path=Path("00001-7.png"),
    seed=7,
    infotext="a cat\nSteps: 20",
    width=64,
    height=64,
    created=0.0,
    thumbnail=Path("thumb.webp"),
)

JOB = JobView(
    id="1" * 32, kind="generate", owner="ann", state=JobState.RUNNING, created=0.0, started=1.0
)


class Seen(HTMLParser):
    """Collects tags and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: set[str] = set()
        self.said = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}

    def handle_data(self, data: str) -> None:
        self.said += data


@given(prompt=st.text(max_size=60) | st.from_regex(r'["\'<>/ a-z=&;]{1,40}', fullmatch=True))
def test_a_prompt_is_shown_and_never_obeyed(prompt: str) -> None:
    """Whatever stands in a picture's settings stays text."""
    html = stage.card(replace(PICTURE, infotext=f"{prompt}\nSteps: 20"), WORDS)

    seen = Seen(html)

    assert seen.tags == {"figure", "a", "img", "figcaption", "div", "button", "span", "pre"}
    assert seen.handlers == set()


def test_the_chosen_picture_is_large_and_the_others_wait_in_a_row() -> None:
    """One picture is on show, each has its thumbnail."""
    pictures = [replace(PICTURE, id=digit * 32) for digit in "abc"]

    html = stage.pictures_on_stage(pictures, WORDS, chosen="b" * 32)

    assert html.count('class="picture chosen"') == 1
    assert html.count("data-pick=") == 3


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Progress(phase="loading"), "Loading the checkpoint"),
        (Progress(phase="drawing", step=3, steps=20), "Step 3/20"),
        (Progress(phase="drawing", step=3, steps=20, batch=1, batches=4), "picture 2/4"),
        (Progress(phase="drawing", step=3, steps=20, eta_seconds=0.2), "1 s left"),
        (Progress(phase="drawing", step=3, steps=20, eta_seconds=125), "2 min 5 s left"),
        (Progress(phase="saving"), "Saving"),
    ],
)
def test_the_line_says_how_far_a_job_is(progress: Progress, said: str) -> None:
    """Step, picture and time left, whichever are known."""
    html = stage.progress(replace(JOB, progress=progress), waiting=0, words=WORDS)

    assert said in Seen(html).said


@pytest.mark.parametrize(
    ("position", "said"), [(0, "Next"), (1, "1 job is before"), (3, "3 jobs are before")]
)
def test_a_waiting_job_knows_its_place(position: int, said: str) -> None:
    """People see how many come before them."""
    waiting = replace(JOB, state=JobState.QUEUED, position=position)

    html = stage.progress(waiting, waiting=0, words=WORDS)

    assert said in Seen(html).said

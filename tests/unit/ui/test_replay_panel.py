"""What the page says of a picture that was drawn again."""

from __future__ import annotations

from webui.services.receipts import SENTENCES, Reason, Receipt
from webui.ui.messages import load_words
from webui.ui.replay_panel import REASONS, VERDICTS, receipt_html


def test_every_reason_has_words_in_every_language() -> None:
    assert set(REASONS) == set(SENTENCES)


def test_english_is_the_reasons_own_sentence() -> None:
    words = load_words()

    for kind, key in REASONS.items():
        reason = Reason(kind=kind, name="Eta", there="1", here="2")
        said = words.say(key, "en", name="Eta", there="1", here="2")
        assert said.rstrip(".") == reason.sentence.rstrip(".")


def test_every_verdict_is_said() -> None:
    for verdict in VERDICTS:
        assert receipt_html(Receipt(verdict=verdict, furthest=3), load_words())


def test_words_of_a_picture_cannot_become_markup() -> None:
    hostile = Reason(kind="unknown", name="<b>", there="<script>{0}")

    told = receipt_html(Receipt(verdict="different", reasons=(hostile,)), load_words())

    assert "<script>" not in told
    assert "&lt;script&gt;{0}" in told

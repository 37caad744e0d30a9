"""The attention of the shipped models as one page, from disk, offline."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from playwright.sync_api import expect

import serving
from summaries import view

_MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
_DATE = "Thursday, October 24, 2047"


@pytest.fixture
def show(page, tmp_path):
    """Writes the page of a model and opens it without any network."""

    def open_page(model, *inputs):
        path = tmp_path / "page.html"
        assert view.main([str(model), *inputs, "--output", str(path)]) == 0
        page.context.set_offline(True)
        page.goto(path.as_uri())
        expect(page.locator(".overview .head").first).to_be_visible()
        return page

    return open_page


def head(page, layer, number):
    page.locator(f'[data-layer="{layer}"][data-head="{number}"]').click()


def test_a_recurrent_translator(show):
    model = _MODELS / "bahdanau_translator_tiny_phrases"
    page = show(model, _DATE, "in 3 weeks")
    answer = serving.load(model).explain([_DATE])[0]
    area = page.locator(".map-frame")
    area.focus()
    area.press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text(
        f"\u2068{answer.tokens[0]}\u2069 → \u2068{answer.source_tokens[0]}"
    )
    expect(page.locator(".readout")).to_contain_text(
        f"{answer.attention[0, 0, 0, 0]:.4f}"
    )
    page.locator("[data-control=sample]").select_option(index=1)
    expect(page.locator(".axis.down")).to_contain_text("semaines")


def test_a_transformer_translator(show):
    model = _MODELS / "transformer_translator_tiny_phrases"
    page = show(model, _DATE)
    expect(page.locator(".overview .head")).to_have_count(3 * 4 * 4)
    names = page.locator(".overview h2").all_inner_texts()
    assert names[0] == "decoder/0/cross" and "encoder/3/self" in names
    answer = serving.load(model).explain([_DATE])[0]
    head(page, names.index("encoder/3/self"), 2)
    area = page.locator(".map-frame")
    area.focus()
    area.press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text(
        f"{answer.encoder_attention[3, 2, 0, 0]:.4f}"
    )


def test_a_text_classifier(show):
    page = show(_MODELS / "transformer_classifier_tiny_language_id", _DATE)
    page.locator("[data-control=view-lines]").click()
    expect(page.locator(".words.keys button").first).to_be_visible()
    page.locator(".words.queries button").nth(2).hover()
    expect(page.locator(".lines svg path").first).to_be_attached()


def test_an_image_classifier(show, tmp_path):
    pixels = np.zeros((8, 8, 3), "uint8")
    pixels[1:7, 3:5] = 255
    path = tmp_path / "one.png"
    path.write_bytes(tf.io.encode_png(pixels).numpy())
    model = _MODELS / "vision_transformer_tiny_digits"
    page = show(model, str(path))
    answer = serving.load(model).explain([str(path)])[0]
    page.locator("[data-control=view-picture]").click()
    rollout = page.get_by_role("button", name="rollout")
    rollout.click()
    expect(page.locator(".readout")).to_have_text(
        f"greatest weight {answer.rollout.max():.4f}"
    )
    page.locator(".stage").press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text(
        f"patch 0, 0  {answer.rollout[0, 0]:.4f}"
    )


def test_a_picture_that_cannot_be_read(show, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG is all of it")
    page = show(_MODELS / "vision_transformer_tiny_digits", str(path))
    expect(page.locator("[data-control=sample]")).to_contain_text(
        "can't be read"
    )
    page.locator("[data-control=view-picture]").click()
    expect(page.locator(".readout")).to_have_text("greatest weight 0.0000")


def test_nothing_to_look_at(tmp_path, capsys):
    path = tmp_path / "empty.txt"
    path.write_text("")
    model = str(_MODELS / "bahdanau_translator_tiny_phrases")
    assert view.main([model, str(path)]) == 2
    assert "no text" in capsys.readouterr().err


def test_what_is_no_model(tmp_path, capsys):
    assert view.main([str(tmp_path / "nothing"), "text"]) == 2
    assert "nothing" in capsys.readouterr().err

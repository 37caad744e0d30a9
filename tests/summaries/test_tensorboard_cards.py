"""The attention in TensorBoard's own page, in a real browser."""

import math

import numpy as np
import pytest
import tensorflow as tf

from summaries import write_attention

# What the cards of the page show: for each tag the kind of card, the width of
# its picture or drawing, and its text.
CARDS = """() => {
const cards = {};
for (const card of document.querySelectorAll('scalar-card, image-card')) {
  const tag = card.querySelector('tb-truncated-path');
  const image = card.querySelector('img');
  const drawing = card.querySelector('line-chart');
  if (!tag || !card.checkVisibility()) continue;
  cards[tag.title] = {
    kind: card.localName,
    width: image ? image.naturalWidth : drawing ? drawing.clientWidth : 0,
    text: card.innerText,
  };
}
return cards;
}"""


@pytest.fixture
def logs(tmp_path):
    """Five steps in which attention learns a diagonal."""
    writer = tf.summary.create_file_writer(str(tmp_path))
    tokens = ["Am", "$3", "<b>mars</b>", "</s>"], ["on", "mars", "3", "rd", "."]
    for step in range(5):
        logits = step * np.eye(4, 5)[None, None]
        scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        write_attention(
            writer,
            {"decoder/cross": scores},
            ([tokens[0]], [tokens[1]]),
            step,
        )
    writer.close()
    return tmp_path


def test_scalars_and_maps_are_seen(page, logs, tensorboard):
    # On the diagonal of step 4, beside four weights of e^0.
    weight = math.exp(4) / (math.exp(4) + 4)
    expected = {
        "attention/entropy/decoder/cross": ("scalar-card", "Value"),
        "attention/max_weight/decoder/cross": (
            "scalar-card",
            f"{weight:.4f}",
        ),
        "attention/padding_leak/decoder/cross": ("scalar-card", "Value"),
        "attention/maps/decoder/cross": ("image-card", "Step 4"),
    }
    page.goto(f"{tensorboard(logs)}/#timeseries")
    for _ in range(600):
        cards = page.evaluate(CARDS)
        if cards.keys() == expected.keys() and all(
            cards[tag]["kind"] == kind
            and cards[tag]["width"] > 100
            and text in cards[tag]["text"]
            for tag, (kind, text) in expected.items()
        ):
            return
        page.wait_for_timeout(200)
    pytest.fail(f"Not all of {expected} is seen, but {cards}")

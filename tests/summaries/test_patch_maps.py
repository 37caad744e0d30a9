import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from summaries import maps
from summaries import patch_map
from summaries import patch_map_png
from summaries import patch_maps
from summaries import rollout_picture
from summaries import rollout_picture_png

# Neither the picture nor the grid is square: patches of 4 by 4 pixels, each
# of them drawn 6 times as large.
GRID = (3, 7)
PICTURE = (12, 28)
PATCH = 4 * 6

BLACK = np.zeros(PICTURE, "uint8")
WHITE = np.full(PICTURE, 255, "uint8")

RED = (255, 0, 0)


def pooled(weights):
    """Scores of one head with one query."""
    return np.asarray(weights, "float32").reshape(1, 1, -1)


def random_scores(*shape):
    generator = np.random.default_rng(7)
    return generator.dirichlet(np.ones(shape[-1]), shape[:-1])


def box_of(drawing, color):
    """Top, left, height and width of what has this colour."""
    rows, columns = np.nonzero((drawing == color).all(axis=-1))
    return rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1


def patches_of(drawing):
    """The middles of all patches of the only head: `(rows, columns, 3)`."""
    nothing_but_red = patch_map(pooled([np.nan] * 21), BLACK, GRID)
    top, left, height, width = box_of(nothing_but_red, RED)
    assert (height, width) == (3 * PATCH, 7 * PATCH)
    panel = drawing[top : top + height, left : left + width]
    patches = panel.reshape(3, PATCH, 7, PATCH, 3)
    return patches[:, 6:18, :, 6:18].mean(axis=(1, 3))


def brightness(colors):
    return colors @ [0.299, 0.587, 0.114]


def figure_of(monkeypatch, *arguments):
    """The figure that becomes the drawing."""
    figures = []
    monkeypatch.setattr(patch_maps, "figure_to_png", figures.append)
    patch_map_png(*arguments)
    monkeypatch.undo()
    return figures[0]


def texts_of(figure):
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("image", [BLACK, WHITE, WHITE // 2])
def test_the_more_weight_the_brighter(image):
    weights = np.random.default_rng(3).permutation(21) / 210
    colors = patches_of(patch_map(pooled(weights), image, GRID))
    order = brightness(colors).ravel().argsort()
    np.testing.assert_array_equal(order, weights.argsort())
    # Without weight it is grey, and the rest is yellow.
    least, most = colors.reshape(-1, 3)[order[[0, -1]]]
    assert np.ptp(least) < 1
    assert most[0] > most[1] > most[2] + 100


def test_weight_outshines_the_picture():
    image = np.where(np.arange(28) < 14, BLACK, WHITE)
    weights = np.zeros(GRID)
    weights[2, 1] = 0.3  # where the picture is black
    colors = patches_of(patch_map(pooled(weights), image, GRID))
    assert np.unravel_index(brightness(colors).argmax(), GRID) == (2, 1)


def test_the_place_of_a_patch():
    scores = np.zeros(GRID)
    scores[0, 0] = np.nan
    top, left, *size = box_of(patch_map(pooled(scores), BLACK, GRID), RED)
    assert size == [PATCH, PATCH]
    scores[0, 0], scores[1, 4] = 0, np.nan
    other = box_of(patch_map(pooled(scores), BLACK, GRID), RED)
    assert other == (top + PATCH, left + 4 * PATCH, PATCH, PATCH)


def test_a_grid_that_does_not_divide_the_picture():
    # 30 pixels, 5 times as large, in 7 columns.
    scores = np.zeros(GRID)
    scores[:, 6] = np.nan
    drawing = patch_map(pooled(scores), np.zeros((12, 30)), GRID)
    *_, height, width = box_of(drawing, RED)
    assert height == pytest.approx(6 * 12, abs=1)
    assert width == pytest.approx(6 * 30 / 7, abs=1)


def test_the_picture_comes_first_and_without_blur():
    image = np.random.default_rng(5).integers(0, 255, (8, 9, 3), "uint8")
    drawing = patch_map(random_scores(1, 1, 6), image, (2, 3))
    (row, column) = np.argwhere((drawing < 255).any(axis=-1)).min(axis=0)
    factor = 19  # 168 / 9
    np.testing.assert_array_equal(
        drawing[row : row + 8 * factor, column : column + 9 * factor],
        image.repeat(factor, axis=0).repeat(factor, axis=1),
    )


def test_the_class_token_looks_and_tokens_in_front_are_left_out():
    # Two tokens in front; the class token puts most of its weight on them.
    scores = random_scores(2, 23, 23)
    scores[:, 0, :2] = 0.45
    np.testing.assert_array_equal(
        patch_map(scores, BLACK, GRID, num_prefix_tokens=2),
        patch_map(scores[:, :1, 2:], BLACK, GRID),
    )


def test_without_a_class_token_it_is_the_mean_of_the_queries():
    scores = random_scores(2, 21, 21)
    mean = sum(scores[:, query] for query in range(21)) / 21
    np.testing.assert_array_equal(
        patch_map(scores, BLACK, GRID),
        patch_map(mean[:, None].astype("float32"), BLACK, GRID),
    )
    # So it is for a pooling, whatever stands in front.
    scores = random_scores(1, 4, 23)
    mean = sum(scores[:, query] for query in range(4)) / 4
    np.testing.assert_array_equal(
        patch_map(scores, BLACK, GRID, 2),
        patch_map(mean[:, None, 2:].astype("float32"), BLACK, GRID),
    )


def test_each_panel_states_its_scale(monkeypatch):
    weights = np.zeros((2, 1, 21))
    weights[0, 0, 3], weights[1, 0, 5] = 0.034, 1
    figure = figure_of(monkeypatch, weights, BLACK, GRID)
    assert texts_of(figure) == ["head 0", ".034", "0", "head 1", "1", "0"]
    drawing = patch_map(weights[:1], BLACK, GRID)
    colors = patches_of(drawing)
    # The numbers beside the bar differ, and not one colour of a patch.
    twice = patch_map(2 * weights[:1], BLACK, GRID)
    np.testing.assert_array_equal(patches_of(twice), colors)
    assert (twice != drawing).any()


def test_the_greatest_weight_is_framed():
    weights = np.full(GRID, 0.02)
    alike = patch_map(pooled(weights), BLACK, GRID)
    weights[1, 4] = 0.0202
    framed = patch_map(pooled(weights), BLACK, GRID)
    weights[1, 4], weights[0, 0] = np.nan, 0
    top, left, *_ = box_of(patch_map(pooled(weights), BLACK, GRID), RED)
    around = np.s_[top - 3 : top + PATCH + 3, left - 3 : left + PATCH + 3]
    white = (framed == 255).all(axis=-1)
    assert white[around].sum() > 3 * PATCH
    assert not (alike == 255).all(axis=-1)[around].any()


def test_large_pictures_become_smaller():
    image = np.random.default_rng(5).random((600, 1000, 3))
    drawing = patch_map(random_scores(1, 1, 6), image, (2, 3))
    assert 144 < drawing.shape[0] < 200
    assert 2 * 240 < drawing.shape[1] < 640


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (1, 500), (500, 1)])
def test_odd_pictures(size):
    drawing = patch_map(random_scores(3, 1, 6), np.zeros(size), (2, 3))
    assert max(drawing.shape) < 1400


def test_one_picture_in_all_forms():
    image = np.random.default_rng(5).integers(0, 256, PICTURE, "uint8")
    scores = random_scores(2, 1, 21)
    expected = patch_map(scores, image, GRID)
    for other in (image[:, :, None], np.stack([image] * 3, -1), image / 255):
        np.testing.assert_array_equal(patch_map(scores, other, GRID), expected)


def test_heads(monkeypatch):
    scores = random_scores(maps.MAX_HEADS + 8, 1, 21)
    texts = texts_of(figure_of(monkeypatch, scores, BLACK, GRID))
    labels = [text for text in texts if "head" in text]
    assert labels == [
        *(f"head {head}" for head in range(16)),
        "8 more heads are not shown",
    ]
    # One head needs no number.
    texts = texts_of(figure_of(monkeypatch, scores[:1], BLACK, GRID))
    assert not [text for text in texts if "head" in text]


@pytest.mark.filterwarnings("error")
def test_weights_that_are_none():
    for weights in (np.zeros(GRID), np.full(GRID, np.nan)):
        patch_map(pooled(weights), BLACK, GRID)
    weights = np.zeros(GRID)
    weights[1, 4] = np.inf
    *_, height, width = box_of(patch_map(pooled(weights), BLACK, GRID), RED)
    assert (height, width) == (PATCH, PATCH)


def test_rollout(monkeypatch):
    weights = random_scores(21).reshape(GRID)
    drawing = rollout_picture(weights, BLACK)
    np.testing.assert_array_equal(
        patches_of(drawing),
        patches_of(patch_map(pooled(weights), BLACK, GRID)),
    )
    png = rollout_picture_png(weights, BLACK)
    np.testing.assert_array_equal(tf.io.decode_png(png, channels=3), drawing)


def test_png():
    scores = random_scores(2, 1, 21)
    png = patch_map_png(scores, BLACK, GRID)
    assert png.startswith(b"\x89PNG")
    np.testing.assert_array_equal(
        tf.io.decode_png(png, channels=3), patch_map(scores, BLACK, GRID)
    )


def test_threads():
    scores = [random_scores(heads, 1, 21) for heads in range(1, 5)]

    def draw(values):
        return patch_map(values, BLACK, GRID)

    expected = [draw(values) for values in scores]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for drawing, again in zip(expected, pool.map(draw, scores)):
            np.testing.assert_array_equal(drawing, again)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("scores", "image", "num_prefix_tokens", "message"),
    [
        (np.ones((1, 21)), BLACK, 0, r"21\).*scores\.shape=\(1, 21\)"),
        (np.ones((1, 1, 21)), BLACK, 1, r"22\), for 1 prefix tokens and 3 x 7"),
        (np.ones((0, 1, 21)), BLACK, 0, r"scores\.shape=\(0, 1, 21\)"),
        (np.ones((1, 1, 21)), BLACK[0], 0, r"image\.shape=\(28,\)"),
    ],
)
def test_errors(scores, image, num_prefix_tokens, message):
    with pytest.raises(ValueError, match=message):
        patch_map(scores, image, GRID, num_prefix_tokens)


def test_rollout_of_another_shape():
    with pytest.raises(ValueError, match=r"rollout\.shape=\(21,\)"):
        rollout_picture(np.ones(21), BLACK)

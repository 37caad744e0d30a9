"""What the graph of an image classifier gives, by NumPy and Pillow."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from serving import classifier_graph
from serving.image_classifier_graph import ImageClassifierGraph
from tests.serving.classifier_runs import encoded
from tests.serving.classifier_runs import IMAGE_CLASSES
from tests.serving.classifier_runs import image_model
from tests.serving.classifier_runs import pixels

# Of the size of the model: 8 by 12 pixels.
PIXELS = [pixels(seed) for seed in range(4)]
PNG = [encoded(array) for array in PIXELS]
JPEG = encoded(PIXELS[0], "JPEG")

UNREADABLE = {
    "no bytes": b"",
    "a text": b"this is no picture",
    "half a JPEG": JPEG[: len(JPEG) // 2],
    "half a PNG": PNG[0][: len(PNG[0]) // 2],
    "GIF": encoded(PIXELS[0], "GIF"),
    "a header alone": b"\x89PNG\r\n\x1a\n",
    "NUL": b"\0" * 100,
}


@pytest.fixture(scope="module")
def graph():
    return ImageClassifierGraph(*image_model())


@pytest.fixture(scope="module")
def answer(graph):
    return explain(graph, PNG)


def arrays(answer):
    return {name: tensor.numpy() for name, tensor in answer.items()}


def explain(graph, files):
    return arrays(graph.explain(tf.constant(files, tf.string)))


def softmax(logits):
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum(axis=-1, keepdims=True)


def inputs_of(arrays):
    """As in `image_model`: mean 0.4, standard deviation 0.3."""
    return ((np.asarray(arrays) / 255 - 0.4) / 0.3).astype(np.float32)


def by_pillow(content):
    return np.asarray(PIL.Image.open(io.BytesIO(content)).convert("RGB"))


def test_labels_and_probabilities(graph, answer):
    files = [*PNG, JPEG]
    found = arrays(graph.serving_default(tf.constant(files)))
    seen = [by_pillow(content) for content in files]
    expected = softmax(graph.model(inputs_of(seen)))
    assert set(found) == {"label", "probabilities", "valid"}
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    labels = [IMAGE_CLASSES[best].encode() for best in expected.argmax(-1)]
    assert found["label"].tolist() == labels
    assert found["valid"].tolist() == [True] * 5
    np.testing.assert_allclose(answer["probabilities"], expected[:4], atol=1e-5)
    assert answer["label"].tolist() == labels[:4]
    # The weights are drawn so that pictures differ.
    assert np.ptp(expected, axis=0).max() > 0.01


def test_images_are_what_the_model_saw(graph, answer):
    assert answer["images"].dtype == np.uint8
    np.testing.assert_array_equal(answer["images"], PIXELS)
    (seen,) = explain(graph, [JPEG])["images"]
    np.testing.assert_array_equal(seen, by_pillow(JPEG))


def test_attention_is_that_of_the_model(graph, answer):
    scores = graph.model.attention_scores(inputs_of(PIXELS))
    assert answer["attention"].shape == (4, 2, 3, 7, 7)
    for layer in range(2):
        np.testing.assert_allclose(
            answer["attention"][:, layer],
            scores[f"encoder/{layer}/self"],
            atol=1e-5,
        )


@pytest.mark.parametrize("pooling", ["class_token", "mean", "attention"])
def test_rollout(pooling, graph, answer):
    if pooling != "class_token":
        graph = ImageClassifierGraph(*image_model(pooling=pooling))
        answer = explain(graph, PNG)
    # Abnar and Zuidema, equation 1, over all layers.
    held = np.eye(answer["attention"].shape[-1])
    for layer in range(2):
        mean = answer["attention"][:, layer].astype(np.float64).mean(axis=1)
        held = (mean + np.eye(mean.shape[-1])) / 2 @ held
    if pooling == "class_token":
        expected = held[:, 0, 1:]
    elif pooling == "mean":
        expected = held.mean(axis=1)
    else:
        kernel = np.asarray(graph.model.attention_pooling.query_kernel)
        states = np.asarray(graph.model.encode(inputs_of(PIXELS)))
        weights = softmax((states @ kernel)[..., 0])
        expected = np.einsum("bt,bts->bs", weights, held)
    assert answer["rollout"].shape == (4, 2, 3)
    np.testing.assert_allclose(
        answer["rollout"], expected.reshape(4, 2, 3), atol=1e-5
    )
    sums = answer["rollout"].sum(axis=(1, 2))
    if pooling == "class_token":
        assert np.all((sums > 0) & (sums < 1))
    else:
        np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_pixels_give_the_same(graph):
    floats = np.asarray(PIXELS) / np.float32(255)
    as_pixels = arrays(graph.images(tf.constant(floats)))
    as_files = arrays(graph.serving_default(tf.constant(PNG)))
    assert as_pixels["label"].tolist() == as_files["label"].tolist()
    assert as_pixels["valid"].all()
    np.testing.assert_allclose(
        as_pixels["probabilities"], as_files["probabilities"], atol=1e-5
    )


def test_pictures_of_any_size(graph):
    large = [pixels(seed, 23, 31) for seed in range(2)]
    files = [encoded(array) for array in large]
    as_files = arrays(graph.serving_default(tf.constant(files)))
    floats = np.asarray(large) / np.float32(255)
    as_pixels = arrays(graph.images(tf.constant(floats)))
    np.testing.assert_allclose(
        as_pixels["probabilities"], as_files["probabilities"], atol=1e-5
    )
    # Larger by copying each pixel: smoothing takes the means of equals.
    copied = np.kron(PIXELS[0], np.ones((4, 4, 1))).astype("uint8")
    (seen,) = explain(graph, [encoded(copied)])["images"]
    inside = np.abs(seen.astype(int) - PIXELS[0])
    assert np.mean(inside) < np.abs(PIXELS[0].astype(int) - 128).mean()


@pytest.mark.parametrize("signature", ["serving_default", "explain"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_changes_no_other(signature, name, graph):
    function = getattr(graph, signature)
    before, after = (
        arrays(function(tf.constant([PNG[0], content, PNG[1], PNG[2]])))
        for content in (PNG[3], UNREADABLE[name])
    )
    assert before["valid"].tolist() == [True] * 4
    assert after["valid"].tolist() == [True, False, True, True]
    for output, values in after.items():
        np.testing.assert_array_equal(
            values[[0, 2, 3]], before[output][[0, 2, 3]], output
        )
        if output == "label":
            assert values[1] == b""
        else:
            assert not values[1].any(), output


def test_nothing_but_what_cannot_be_read(graph):
    answer = explain(graph, list(UNREADABLE.values()))
    assert set(answer["label"]) == {b""}
    assert not any(answer[name].any() for name in answer if name != "label")


def test_one_pixel_is_a_picture(graph):
    pixel = np.array([[[10, 20, 30]]], "uint8")
    answer = explain(graph, [encoded(pixel)])
    assert answer["valid"].all()
    np.testing.assert_array_equal(
        answer["images"][0], np.broadcast_to(pixel, (8, 12, 3))
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 255.0])
def test_numbers_that_are_no_pixels(value, graph):
    good = np.asarray(PIXELS) / np.float32(255)
    bad = good.copy()
    bad[1, 3, 5, 2] = value
    before, after = (
        arrays(graph.images(tf.constant(images))) for images in (good, bad)
    )
    assert after["valid"].tolist() == [True, False, True, True]
    assert after["label"][1] == b""
    assert not after["probabilities"][1].any()
    for output, values in after.items():
        np.testing.assert_array_equal(
            values[[0, 2, 3]], before[output][[0, 2, 3]]
        )


def test_another_number_of_channels_is_refused(graph):
    with pytest.raises(TypeError, match="None, None, None, 3"):
        graph.images(tf.zeros((2, 8, 12, 1)))


@pytest.mark.parametrize("num_rows", [0, 1])
def test_a_batch_without_rows(num_rows, graph):
    answer = explain(graph, [b""] * num_rows)
    assert {name: values.shape for name, values in answer.items()} == {
        "label": (num_rows,),
        "probabilities": (num_rows, 5),
        "valid": (num_rows,),
        "images": (num_rows, 8, 12, 3),
        "attention": (num_rows, 2, 3, 7, 7),
        "rollout": (num_rows, 2, 3),
    }
    assert graph.images(tf.zeros((num_rows, 8, 12, 3)))["label"].shape == (
        num_rows,
    )


def test_a_grey_model_with_convolutions():
    graph = ImageClassifierGraph(
        *image_model(channels=1, tokenizer="convolution", pooling="attention")
    )
    grey = [array[..., :1].copy() for array in PIXELS]
    answer = explain(graph, [encoded(array) for array in grey])
    assert answer["images"].shape == (4, 8, 12, 3)
    np.testing.assert_array_equal(answer["images"], np.repeat(grey, 3, axis=-1))
    expected = softmax(graph.model(inputs_of(grey)))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert answer["rollout"].shape == (4, 2, 3)
    floats = np.asarray(grey) / np.float32(255)
    as_pixels = graph.images(tf.constant(floats))["probabilities"]
    np.testing.assert_allclose(as_pixels, expected, atol=1e-5)


def test_large_models_show_what_fits(graph, answer, monkeypatch):
    # 3 * 8 * 12 bytes of pixels, 4 * (6 + 5) of the rest; a head has 196.
    monkeypatch.setattr(classifier_graph, "MOST_BYTES", 332 + 2 * 196)
    smaller = ImageClassifierGraph(graph.model, graph.preprocessor)
    found = explain(smaller, PNG)
    np.testing.assert_array_equal(
        found["attention"], answer["attention"][:, 1:][:, :, [0, 2]]
    )
    # The rollout is over all layers and heads all the same.
    np.testing.assert_array_equal(found["rollout"], answer["rollout"])
    described = smaller.describe()
    assert described["attention_layers"] == {"attention": ["encoder/1/self"]}
    assert described["attention_heads"] == {"attention": [0, 2]}


def test_a_batch_without_rows_of_a_stack_of_convolutions():
    # Of no picture TensorFlow's convolution has too few channels.
    graph = ImageClassifierGraph(
        *image_model(channels=1, tokenizer="convolution", patch_size=4)
    )
    for answer in (
        graph.serving_default(tf.zeros([0], tf.string)),
        graph.explain(tf.zeros([0], tf.string)),
        graph.images(tf.zeros([0, 8, 12, 1])),
    ):
        assert {len(tensor) for tensor in answer.values()} == {0}
        assert answer["probabilities"].shape == (0, len(IMAGE_CLASSES))

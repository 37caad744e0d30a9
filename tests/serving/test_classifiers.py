"""Classifiers as programs use them: from runs and from SavedModels."""

import numpy as np
import pytest

import serving
from tests.serving.classifier_runs import encoded
from tests.serving.classifier_runs import IMAGE_CLASSES
from tests.serving.classifier_runs import pixels
from tests.serving.classifier_runs import TEXT_CLASSES

TEXTS = ["a fine film", "", "words " * 40]
PIXELS = [pixels(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def text_classifier(text_saved_model):
    return serving.load(text_saved_model)


@pytest.fixture(scope="module")
def image_classifier(image_saved_model):
    return serving.load(image_saved_model)


def test_answers_of_texts_have_no_padding(text_classifier):
    answers = text_classifier.explain(TEXTS)
    assert [len(answer.tokens) for answer in answers] == [5, 2, 16]
    assert [answer.truncated for answer in answers] == [False, False, True]
    assert answers[0].tokens == ("[START]", "▁a", "▁fine", "▁film", "[END]")
    for answer in answers:
        length = len(answer.tokens)
        assert answer.attention.shape == (2, 3, length, length)
        assert answer.pooling_attention.shape == (length,)
        assert answer.token_weights is answer.pooling_attention
        assert tuple(answer.probabilities) == TEXT_CLASSES
        best = max(answer.probabilities, key=answer.probabilities.get)
        assert answer.label == best
        assert answer.probability == answer.probabilities[best]
        assert isinstance(answer.probability, float)


def test_texts_in_short(text_classifier):
    answers = text_classifier.explain(TEXTS)
    assert text_classifier.classify(TEXTS) == [a.label for a in answers]
    np.testing.assert_allclose(
        text_classifier.probabilities(TEXTS),
        [list(answer.probabilities.values()) for answer in answers],
        atol=1e-6,
    )
    vectors = text_classifier.embed(TEXTS)
    assert vectors.shape == (3, 12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_without_pooling_weights_the_last_layer_shades():
    attention = np.zeros((2, 2, 3, 3), np.float32)
    attention[0, :, :, 0] = 1
    attention[1, 0, :, 1] = 1
    attention[1, 1] = np.eye(3)
    answer = serving.TextClassification(
        "a", 1.0, {"a": 1.0}, ("x", "y", "z"), attention, None, False
    )
    # The mean of (0, 1, 0) and of a third each.
    np.testing.assert_allclose(
        answer.token_weights, [1 / 6, 4 / 6, 1 / 6], rtol=1e-6
    )


def test_a_run_and_its_saved_model_give_the_same_for_texts(
    text_run, text_classifier
):
    run = serving.load(text_run.directory)
    assert run.class_names == text_classifier.class_names == TEXT_CLASSES
    for left, right in zip(run.explain(TEXTS), text_classifier.explain(TEXTS)):
        assert left.label == right.label
        assert left.tokens == right.tokens
        assert left.probability == pytest.approx(right.probability, rel=1e-5)
        np.testing.assert_allclose(left.attention, right.attention, atol=1e-6)


def test_an_encoder_gives_vectors(encoder_run, encoder_saved_model):
    run, saved = map(serving.load, (encoder_run.directory, encoder_saved_model))
    vectors = saved.embed(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, run.embed(TEXTS), atol=1e-6)
    assert not hasattr(saved, "explain")


def test_nothing_gives_nothing(text_classifier, image_classifier):
    for model in (text_classifier, image_classifier):
        assert model.classify([]) == model.explain([]) == []
        assert model.probabilities([]).shape == (0, len(model.class_names))
    assert text_classifier.embed([]).shape == (0, 12)


@pytest.mark.parametrize("method", ["classify", "explain", "probabilities"])
def test_one_alone_is_no_list(method, text_classifier, image_classifier):
    with pytest.raises(TypeError, match=r"as \[text\]"):
        getattr(text_classifier, method)("a fine film")
    for picture in ("picture.png", b"bytes"):
        with pytest.raises(TypeError, match=r"as \[picture\]"):
            getattr(image_classifier, method)(picture)


def test_answers_of_pictures(image_classifier):
    files = [encoded(PIXELS[0]), b"", encoded(PIXELS[1])]
    answers = image_classifier.explain(files)
    assert [answer.valid for answer in answers] == [True, False, True]
    for answer, array in zip(answers[::2], PIXELS):
        assert tuple(answer.probabilities) == IMAGE_CLASSES
        assert answer.probability == answer.probabilities[answer.label]
        assert answer.probability == max(answer.probabilities.values())
        np.testing.assert_array_equal(answer.image, array)
        assert answer.attention.shape == (2, 3, 7, 7)
        assert answer.rollout.shape == (2, 3)
    bad = answers[1]
    assert (bad.label, bad.probability) == ("", 0.0)
    assert set(bad.probabilities.values()) == {0.0}
    assert not bad.image.any() and not bad.rollout.any()
    assert image_classifier.classify(files) == [a.label for a in answers]


def test_all_forms_of_a_picture(image_classifier, tmp_path):
    array = PIXELS[0]
    path = tmp_path / "picture.any"
    path.write_bytes(encoded(array))
    opaque = np.concatenate([array, np.full((8, 12, 1), 255, "uint8")], -1)
    forms = [
        str(path),
        path,
        path.read_bytes(),
        array,
        array / 255,
        (array / 255).astype(np.float32),
        array.astype(np.uint16) * 257,
        opaque,
    ]
    for answer in image_classifier.explain(forms):
        assert answer.valid
        np.testing.assert_array_equal(answer.image, array)
    grey = array[..., 0]
    for answer in image_classifier.explain([grey, grey[..., None]]):
        np.testing.assert_array_equal(
            answer.image, np.repeat(grey[..., None], 3, axis=-1)
        )
    # A batch is a list too.
    labels = image_classifier.classify(np.stack(PIXELS))
    assert labels == image_classifier.classify(PIXELS)


@pytest.mark.parametrize("value", [np.nan, -0.5, 2.0, np.inf])
def test_numbers_that_are_no_pixels_are_not_valid(value, image_classifier):
    bad = PIXELS[0] / 255
    bad[2, 3, 1] = value
    answers = image_classifier.explain([bad, np.zeros((0, 4, 3)), PIXELS[0]])
    assert [answer.valid for answer in answers] == [False, False, True]


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (np.zeros((8, 12, 2)), ValueError, r"image.shape=\(8, 12, 2\)"),
        (np.zeros(8), ValueError, r"image.shape=\(8,\)"),
        (np.zeros((8, 12), int), ValueError, "image.dtype=int64"),
        ("no such file.png", FileNotFoundError, "no such file.png"),
    ],
)
def test_what_is_no_picture(picture, error, message, image_classifier):
    with pytest.raises(error, match=message):
        image_classifier.classify([picture])


def test_a_run_and_its_saved_model_give_the_same_for_pictures(
    image_run, image_classifier
):
    run = serving.load(image_run.directory)
    assert run.class_names == image_classifier.class_names == IMAGE_CLASSES
    for left, right in zip(
        run.explain(PIXELS), image_classifier.explain(PIXELS)
    ):
        assert left.label == right.label
        assert left.probability == pytest.approx(right.probability, rel=1e-5)
        np.testing.assert_allclose(left.attention, right.attention, atol=1e-6)
        np.testing.assert_allclose(left.rollout, right.rollout, atol=1e-6)

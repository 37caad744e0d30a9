import keras
import numpy as np
import pytest
import tensorflow as tf

from training.augmentation import AugmentedClassifier
from training.recipe import ImageClassificationRecipe

SHAPE = (8, 6, 1)
ALL = {
    "crop_padding": 2,
    "flip": True,
    "rand_augment": 2,
    "random_erasing": 1.0,
    "mixup": 0.4,
    "cutmix": 1.0,
}


class Linear(keras.Model):
    """Logits of 3 classes."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, images, training=None):
        return self.dense(keras.ops.reshape(images, (-1, 48)))


def make(jit=False, class_weights=None, **options):
    keras.utils.set_random_seed(0)
    classifier = Linear()
    classifier(np.zeros((1, *SHAPE), "float32"))
    recipe = ImageClassificationRecipe(jit=jit, seed=3, **options)
    model = AugmentedClassifier(
        classifier, recipe, SHAPE, lambda images: 2 * images - 1, class_weights
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.5),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )
    return model


@pytest.fixture
def batch():
    draw = np.random.default_rng(0)
    images = draw.uniform(size=(4, *SHAPE)).astype("float32")
    return images, np.eye(3, dtype="float32")[[0, 1, 2, 0]]


def test_nothing_asked_nothing_changed(batch):
    images, labels = make().change(*batch)
    np.testing.assert_array_equal(images, batch[0])
    np.testing.assert_array_equal(labels, batch[1])


@pytest.mark.parametrize("name", ["crop_padding", "flip", "random_erasing"])
def test_a_change_leaves_the_labels(name, batch):
    images, labels = make(**{name: ALL[name]}).change(*batch)
    assert images.shape == batch[0].shape
    assert np.abs(images - batch[0]).max() > 0.1
    np.testing.assert_array_equal(labels, batch[1])


def test_flips_are_flips(batch):
    model = make(flip=True)
    seen = set()
    for _ in range(8):
        for before, after in zip(batch[0], np.asarray(model.change(*batch)[0])):
            kept = np.array_equal(before, after)
            assert kept or np.array_equal(before[:, ::-1], after)
            seen.add(kept)
    assert seen == {True, False}


def test_crops_are_shifts(batch):
    padded = np.pad(batch[0], [(0, 0), (2, 2), (2, 2), (0, 0)])
    crops = [
        padded[:, row : row + 8, column : column + 6]
        for row in range(5)
        for column in range(5)
    ]
    images = np.asarray(make(crop_padding=2).change(*batch)[0])
    for number, image in enumerate(images):
        assert any(np.array_equal(image, crop[number]) for crop in crops)


@pytest.mark.parametrize("names", [["mixup"], ["cutmix"], ["mixup", "cutmix"]])
def test_mixed_labels_are_still_shares(names, batch):
    model = make(**{name: ALL[name] for name in names})
    mixed = [np.asarray(model.change(*batch)[1]) for _ in range(5)]
    for labels in mixed:
        np.testing.assert_allclose(labels.sum(axis=1), 1.0, rtol=1e-5)
    assert max(np.abs(labels - batch[1]).max() for labels in mixed) > 0.05


@pytest.mark.parametrize("jit", [False, True])
def test_all_of_it_fits(jit, batch):
    model = make(jit=jit, **ALL)
    weights = np.ones(4, "float32")
    data = tf.data.Dataset.from_tensors((*batch, weights)).repeat(3)
    history = model.fit(data, verbose=0, shuffle=False)
    assert np.isfinite(history.history["loss"]).all()


def test_the_classifier_sees_normalised_pictures(batch):
    model = make()
    dense = model.classifier.dense
    kernel, bias = dense.get_weights()
    model.train_on_batch(*batch, np.ones(4, "float32"))
    inputs = (2 * batch[0] - 1).reshape(4, 48)
    logits = inputs @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = inputs.T @ (shares - batch[1]) / 4
    np.testing.assert_allclose(
        dense.get_weights()[0], kernel - 0.5 * gradient, rtol=1e-4, atol=1e-5
    )


def test_weights_of_classes(batch):
    weights = np.array([1.0, 0.0, 3.0], "float32")
    model = make(class_weights=weights)
    dense = model.classifier.dense
    kernel, bias = dense.get_weights()
    # The last example can't be read.
    model.train_on_batch(*batch, np.array([1, 1, 1, 0], "float32"))
    inputs = (2 * batch[0] - 1).reshape(4, 48)
    logits = inputs @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    each = np.array([1.0, 0.0, 3.0, 0.0])[:, None] / 4
    gradient = inputs.T @ ((shares - batch[1]) * each)
    np.testing.assert_allclose(
        dense.get_weights()[0], kernel - 0.5 * gradient, rtol=1e-4, atol=1e-5
    )


def test_the_state_of_chance_is_among_the_variables(batch):
    model = make(**ALL)
    before = [np.asarray(variable) for variable in model.variables]
    first = [np.asarray(part) for part in model.change(*batch)]
    second = [np.asarray(part) for part in model.change(*batch)]
    assert not np.array_equal(first[0], second[0])
    for variable, value in zip(model.variables, before):
        variable.assign(value)
    again = [np.asarray(part) for part in model.change(*batch)]
    np.testing.assert_array_equal(again[0], first[0])
    np.testing.assert_array_equal(again[1], first[1])

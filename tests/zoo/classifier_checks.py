"""What holds for a classifier of texts and for one of pictures."""

import keras
import numpy as np

from tests.layers.running import array
from tests.layers.running import assert_array_equal
from tests.layers.running import gradients
from tests.layers.running import JIT_COMPILE
from tests.layers.running import weighted_sum


def draw_weights(model, seed=0):
    """Weights that all matter."""
    draw = np.random.default_rng(seed).normal
    for weight in model.trainable_variables:
        one = float(weight.path.endswith("gamma"))
        weight.assign(one + draw(scale=0.4, size=weight.shape))


def check_every_weight_has_a_gradient(model, inputs):
    shape = model(inputs).shape
    direction = np.random.default_rng(1).normal(size=shape)
    _, found = gradients(
        lambda: weighted_sum(model(inputs, training=True), direction),
        weights=model.trainable_variables,
    )
    sizes = [np.abs(each).max() for each in found]
    for weight, size in zip(model.trainable_variables, sizes):
        # A bias of the keys cancels in the softmax.
        if not weight.path.endswith("key_bias"):
            assert size > 1e-4 * max(sizes), weight.path


def check_one_compiled_step_moves_every_weight(model, inputs):
    """Two examples, and 5 classes."""
    before = [array(weight).copy() for weight in model.trainable_variables]
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=JIT_COMPILE,
    )
    model.fit(inputs, np.array([1, 4]), verbose=0)
    for weight, old in zip(model.trainable_variables, before):
        if not weight.path.endswith("key_bias"):
            assert np.abs(array(weight) - old).max() > 1e-6, weight.path


def check_chance_in_training_only(model, inputs):
    """Dropout of any kind; `inputs` is an array or a dictionary of one."""
    plain = array(model(inputs))
    assert_array_equal(model(inputs), plain)
    many = keras.tree.map_structure(lambda x: np.repeat(x, 8, axis=0), inputs)
    loud = [array(model(many, training=True)) for _ in range(2)]
    assert np.abs(loud[0] - np.repeat(plain, 8, axis=0)).max() > 1e-2
    assert np.abs(loud[0] - loud[1]).max() > 1e-2

"""AdamW by the recipe, on one weight and one bias."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.optimizer import averaged_weights
from training.optimizer import make_optimizer
from training.recipe import Recipe


def _recipe(**options):
    return Recipe(
        **{
            "schedule": "constant",
            "warmup_steps": 0,
            "learning_rate": 0.1,
            "gradient_clip_norm": 0.0,
            **options,
        }
    )


def _variables():
    return [
        keras.Variable([1.0, -2.0], name="kernel"),
        keras.Variable([0.5], name="bias"),
    ]


def _run(gradients, variables=None, **options):
    variables = variables or _variables()
    optimizer = make_optimizer(_recipe(**options), len(gradients))
    optimizer.build(variables)
    for kernel, bias in gradients:
        optimizer.apply(
            [
                keras.ops.convert_to_tensor(kernel),
                keras.ops.convert_to_tensor(bias),
            ]
        )
    return optimizer, [np.asarray(variable) for variable in variables]


def test_biases_do_not_decay():
    zeros = [([0.0, 0.0], [0.0])]
    _, (kernel, bias) = _run(zeros, weight_decay=0.2)
    # w - learning_rate * decay * w
    np.testing.assert_allclose(kernel, [0.98, -1.96], rtol=1e-6)
    np.testing.assert_array_equal(bias, [0.5])


def test_accumulated_batches_are_one_large_batch():
    parts = [([1.0, 2.0], [3.0]), ([3.0, -2.0], [1.0])] * 2
    means = [([2.0, 0.0], [2.0])] * 2
    _, accumulated = _run(parts, gradient_accumulation=2)
    _, large = _run(means)
    for left, right in zip(accumulated, large):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_the_schedule_counts_updates():
    gradients = [([1.0, 1.0], [1.0])] * 8
    options = {"schedule": "cosine", "warmup_steps": 1}
    optimizer, _ = _run(gradients, gradient_accumulation=4, **options)
    # 8 batches are 2 updates, at the end of which the cosine is 0.
    assert float(optimizer.learning_rate) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_average_moves_by_update(accumulation):
    class Holder(keras.Model):
        def __init__(self, variables):
            super().__init__()
            self.kernel, self.bias = variables

    variables = _variables()
    gradients = [([1.0, 1.0], [1.0])] * (3 * accumulation)
    model = Holder(variables)
    seen = []
    options = {
        "average_decay": 0.5,
        "gradient_accumulation": accumulation,
    }
    optimizer = make_optimizer(_recipe(**options), len(gradients))
    optimizer.build(variables)
    for kernel, bias in gradients:
        optimizer.apply(
            [
                keras.ops.convert_to_tensor(kernel),
                keras.ops.convert_to_tensor(bias),
            ]
        )
        seen.append(np.array(variables[0].numpy()))
    model.compile(optimizer=optimizer)
    # After each batch, by as much as makes 0.5 of an update; it begins with
    # what the first update gives.
    decay = 0.5 ** (1 / accumulation)
    average = seen[accumulation - 1]
    for kernel in seen[accumulation:]:
        average = decay * average + (1 - decay) * kernel
    own = variables[0].numpy()
    with averaged_weights(model):
        inside = np.array(variables[0].numpy())
    np.testing.assert_array_equal(variables[0].numpy(), own)
    assert np.abs(inside - own).max() > 0.01
    np.testing.assert_allclose(inside, average, rtol=1e-5)


def test_a_gradient_in_slices_is_clipped_by_its_norm():
    optimizer = make_optimizer(_recipe(gradient_clip_norm=1.0), 10)
    table = keras.Variable([[0.0], [0.0]], name="embeddings")
    # The same token three times: 0.3 + 0.3 + 0.6 = 1.2.
    slices = tf.IndexedSlices(
        tf.constant([[0.3], [0.3], [0.6]]),
        tf.constant([1, 1, 1]),
        tf.constant([2, 1]),
    )
    optimizer.apply([slices], [table])
    momentum = optimizer._momentums[0].numpy()
    np.testing.assert_allclose(momentum, [[0.0], [0.1]], rtol=1e-5)

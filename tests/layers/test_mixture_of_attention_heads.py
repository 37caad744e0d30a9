import keras
import numpy as np
import pytest
from keras import ops

from layers.mixture_of_attention_heads import MixtureOfAttentionHeads
from tests.layers.running import array
from tests.layers.running import assert_allclose
from tests.layers.running import assert_array_equal
from tests.layers.running import each_jit
from tests.layers.running import gradients
from tests.layers.running import JIT_COMPILE
from tests.layers.running import weighted_sum

# B 2, T 3, S 5; query 7, key 11, value 13 wide; 6 experts, 2 a token, of 4.
DRAW = np.random.default_rng(0).normal
QUERY = DRAW(size=(2, 3, 7))
KEY = DRAW(size=(2, 5, 11))
VALUE = DRAW(size=(2, 5, 13))
MASK = np.array([[1, 1, 1, 1, 0], [1, 0, 1, 1, 1]], bool)


def made(**options):
    options = {
        "num_experts": 6,
        "experts_per_token": 2,
        "key_dim": 4,
        "dtype": "float64",
        **options,
    }
    layer = MixtureOfAttentionHeads(**options)
    layer(QUERY, VALUE, KEY)
    for weight in layer.trainable_variables:
        weight.assign(0.5 * DRAW(size=weight.shape))
    return layer


def probabilities_of(layer):
    logits = QUERY @ array(layer.router_kernel)
    exponentials = np.exp(logits)
    return logits, exponentials / exponentials.sum(axis=-1, keepdims=True)


@pytest.mark.check("equation")
def test_equals_the_equations():
    layer = made(value_dim=3, output_dim=9)
    outputs, scores = layer(
        QUERY, VALUE, KEY, value_mask=MASK, return_attention_scores=True
    )
    query_kernel = array(layer.query_kernel).reshape(7, 6, 4)
    output_kernel = array(layer.output_kernel).reshape(6, 3, 9)
    key = KEY @ array(layer.key_kernel)
    value = VALUE @ array(layer.value_kernel)
    _, probabilities = probabilities_of(layer)
    expected = np.zeros((2, 3, 9))
    weights = np.zeros((2, 6, 3, 5))
    for b, t in np.ndindex(2, 3):
        chosen = np.argsort(probabilities[b, t])[-2:]
        total = probabilities[b, t, chosen].sum()
        for i in chosen:
            logits = key[b] @ (QUERY[b, t] @ query_kernel[:, i]) / 2.0
            row = np.exp(logits) * MASK[b]
            weights[b, i, t] = row / row.sum()
            head = (weights[b, i, t] @ value[b]) @ output_kernel[i]
            expected[b, t] += probabilities[b, t, i] / total * head
    assert_allclose(outputs, expected, atol=1e-12)
    assert_allclose(scores, weights, atol=1e-12)


@pytest.mark.check("equation")
def test_losses_by_hand():
    layer = made(load_balancing=0.5, router_z=0.25)
    query_mask = np.array([[1, 1, 1], [1, 1, 0]], bool)
    layer(QUERY, VALUE, KEY, query_mask=query_mask, training=True)
    (loss,) = layer.losses
    logits, probabilities = probabilities_of(layer)
    logits, probabilities = logits[query_mask], probabilities[query_mask]
    share = np.zeros(6)
    for row in probabilities:
        share[np.argsort(row)[-2:]] += 1 / (2 * 5)
    balance = 6 * np.sum(share * probabilities.mean(axis=0))
    size = np.mean(np.log(np.exp(logits).sum(axis=-1)) ** 2)
    assert_allclose(loss, 0.5 * balance + 0.25 * size, rtol=1e-6)


@pytest.mark.check("equation")
def test_no_losses_outside_training():
    layer = made()
    layer(QUERY, VALUE, KEY)
    assert layer.losses == []
    quiet = made(load_balancing=0.0, router_z=0.0)
    quiet(QUERY, VALUE, KEY, training=True)
    assert quiet.losses == []


@pytest.mark.check("equation")
def test_an_even_router_has_the_least_loss():
    layer = made(num_experts=3, experts_per_token=1, router_z=0.0)
    layer.load_balancing = 1.0
    # Each expert is the choice of two of the six queries, by a hair.
    query = np.tile(np.eye(3), (2, 1, 1))
    query = np.concatenate([query, np.zeros((2, 3, 4))], axis=-1)
    kernel = np.zeros((7, 3))
    kernel[:3] = 1e-6 * np.eye(3)
    layer.router_kernel.assign(kernel)
    assert_allclose(layer.router_loss(query), 1.0, rtol=1e-5)
    # All queries at one expert, surely: the most.
    kernel[:3] = [[50, 0, 0]] * 3
    layer.router_kernel.assign(kernel)
    assert_allclose(layer.router_loss(query), 3.0, rtol=1e-5)


@pytest.mark.check("equation")
@each_jit
def test_the_router_learns(jit):
    layer = made()

    def loss():
        outputs = layer(QUERY, VALUE, KEY, training=True)
        return ops.sum(outputs**2) + sum(layer.losses)

    _, found = gradients(loss, weights=layer.trainable_variables, jit=jit)
    sizes = [np.abs(gradient).max() for gradient in found]
    assert all(size > 1e-3 * max(sizes) for size in sizes)


@pytest.mark.check("gradients")
def test_gradients(assert_gradients_match):
    # The sum that the weights of the chosen experts are divided by has no
    # gradient, so those of the router are no differences.
    layer = made(load_balancing=0.0, router_z=0.0)
    direction = DRAW(size=QUERY.shape)
    weights = [
        weight
        for weight in layer.trainable_variables
        if weight.name != "router_kernel"
    ]
    assert len(weights) == 4
    assert_gradients_match(
        lambda value, key: weighted_sum(
            layer(QUERY, value, key, value_mask=MASK), direction
        ),
        weights,
        [VALUE, KEY],
    )


@pytest.mark.check("peer")
def test_all_experts_are_multi_head_attention_with_a_gate():
    # With k = E nothing is left out, and p is not scaled up.
    layer = made(experts_per_token=6)
    outputs, scores = layer(QUERY, VALUE, KEY, return_attention_scores=True)
    assert_allclose(array(scores).sum(axis=-1), 1, atol=1e-12)
    assert outputs.shape == QUERY.shape


@pytest.mark.check("saved")
def test_file(tmp_path):
    query, value = keras.Input((3, 7)), keras.Input((5, 13))
    layer = MixtureOfAttentionHeads(6, 2, key_dim=4, seed=1, dropout=0.1)
    model = keras.Model([query, value], layer(query, value))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = [QUERY.astype("f4"), VALUE.astype("f4")]
    assert_array_equal(model(inputs), loaded(inputs))


@pytest.mark.check("compiled")
def test_the_loss_is_fitted_with_the_model():
    query, value = keras.Input((3, 7)), keras.Input((5, 13))
    layer = MixtureOfAttentionHeads(6, 2, key_dim=4, load_balancing=0.5)
    model = keras.Model([query, value], layer(query, value))
    model.compile("sgd", "mse", jit_compile=JIT_COMPILE)
    inputs = [QUERY.astype("f4"), VALUE.astype("f4")]
    found = model.train_on_batch(inputs, array(model(inputs)))
    # The error itself is 0.
    assert 0.4 < found < 2.0


@pytest.mark.check("bad input")
@pytest.mark.parametrize("chosen", [0, 7])
def test_more_experts_than_there_are(chosen):
    message = f"experts_per_token={chosen}, num_experts=6"
    with pytest.raises(ValueError, match=message):
        MixtureOfAttentionHeads(6, chosen, key_dim=4)

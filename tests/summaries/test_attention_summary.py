import math

import keras
import numpy as np
import pytest

import layers
import zoo
from summaries import AttentionSamples
from summaries import AttentionSummary
from summaries import patch_map
from summaries import PatchSide
from summaries import rollout_picture
from summaries import Side
from summaries import token_strip
from summaries.score_files import list_steps

# Sizes all differ: B 3, S 7, T 5.
SOURCE = np.array(
    [[3, 4, 5, 6, 0, 0, 0], [7, 8, 0, 0, 0, 0, 0], [3, 4, 5, 6, 7, 8, 9]]
)
TARGET = np.array([[1, 4, 5, 0, 0], [1, 9, 0, 0, 0], [1, 3, 4, 5, 6]])


def side(ids):
    tokens = [[f"t{token}" for token in row if token] for row in ids]
    return Side(tokens, ids != 0)


SIDES = {"source": side(SOURCE), "target": side(TARGET)}
PAIR = AttentionSamples([TARGET, SOURCE], SIDES)


def functional_model(attention, masked=True, zero_keys=False):
    """A plain Keras model, (target ids, source ids) -> logits."""
    target = keras.Input((None,), dtype="int32")
    source = keras.Input((None,), dtype="int32")
    keys = keras.layers.Embedding(
        20, 8, embeddings_initializer="zeros" if zero_keys else "uniform"
    )(source)
    context = attention(
        keras.layers.Embedding(20, 8)(target),
        keys,
        value_mask=source != 0 if masked else None,
    )
    outputs = keras.layers.Dense(20)(context)
    model = keras.Model([target, source], outputs)
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def fit(model, callback, epochs=2, **options):
    model.fit(
        [TARGET, SOURCE],
        TARGET,
        epochs=epochs,
        callbacks=[callback],
        verbose=0,
        **options,
    )


# Of every layer.
_TAGS = ("entropy", "max_weight", "padding_leak", "maps", "scores")


@pytest.mark.parametrize(
    "attention",
    [
        layers.AdditiveAttention(units=6, name="look"),
        layers.DotProductAttention(name="look"),
    ],
    ids=["additive", "dot_product"],
)
def test_any_keras_model(tmp_path, attention, read_events):
    model = functional_model(attention)
    fit(model, AttentionSummary(tmp_path, PAIR, max_images=2))
    events = read_events(tmp_path)
    assert events.steps == {f"attention/{name}/look": [0, 1] for name in _TAGS}
    for step in range(2):
        tag = "attention/maps/look"
        assert len(events.pictures(tag, step)) == 2
        tag = "attention/padding_leak/look"
        assert events.scalar(tag, step) == 0
        tag = "attention/entropy/look"
        assert 0 < events.scalar(tag, step) < math.log(7)


def test_a_broken_mask_shows(tmp_path, read_events):
    # All keys are alike, so attention is uniform and 3 + 2 + 5 real queries
    # put 3/7, 5/7 and nothing on padding.
    for masked, leak in ((False, (3 * 3 + 2 * 5) / 7 / 10), (True, 0)):
        folder = tmp_path / str(masked)
        model = functional_model(
            layers.AdditiveAttention(units=6, name="look"),
            masked=masked,
            zero_keys=True,
        )
        AttentionSummary(folder, PAIR, model=model).write(0)
        events = read_events(folder)
        tag = "attention/padding_leak/look"
        assert events.scalar(tag, 0) == pytest.approx(leak)


def translator(attention="additive"):
    return zoo.create_model(
        "bahdanau_translator_tiny",
        source_vocabulary_size=50,
        target_vocabulary_size=60,
        embedding_dim=8,
        hidden_dim=6,
        attention=attention,
    )


TRANSLATION = AttentionSamples({"source": SOURCE, "target": TARGET}, SIDES)


def test_translator(tmp_path, read_events):
    model = translator()
    callback = AttentionSummary(tmp_path, TRANSLATION, model=model)
    callback.write(3, {"validation/bleu": 12.5})
    events = read_events(tmp_path)  # flushed, though not closed
    assert set(events.steps) == {
        "validation/bleu",
        "attention/entropy/decoder/cross",
        "attention/max_weight/decoder/cross",
        "attention/padding_leak/decoder/cross",
        "attention/scores/decoder/cross",
        "attention/maps/decoder/cross",
    }
    assert events.scalar("validation/bleu", 3) == 12.5
    tag = "attention/padding_leak/decoder/cross"
    assert events.scalar(tag, 3) == 0
    tag = "attention/maps/decoder/cross"
    assert len(events.pictures(tag, 3)) == 3
    expected = model.attention_scores(TRANSLATION.inputs)
    assert callback.scores().keys() == expected.keys()
    np.testing.assert_allclose(
        callback.scores()["decoder/cross"],
        expected["decoder/cross"],
        atol=1e-6,
    )
    callback.close()


class Wrapper(keras.Model):
    """As a training wrapper, fitted in place of the model inside."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs, training=None):
        with layers.record_attention():  # keeps the scores to itself
            return self.inner(inputs, training=training)


def test_model_inside_a_wrapper(tmp_path, read_events):
    model = functional_model(layers.DotProductAttention(name="look"))
    wrapper = Wrapper(model)
    wrapper.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    fit(wrapper, AttentionSummary(tmp_path, PAIR, model=model))
    assert "attention/entropy/look" in read_events(tmp_path).steps


def test_model_without_attention(tmp_path, read_events):
    callback = AttentionSummary(tmp_path, TRANSLATION, model=translator("none"))
    callback.write(0)
    assert list(tmp_path.iterdir()) == []
    callback.write(1, {"loss": 2.0})
    callback.close()
    assert set(read_events(tmp_path).steps) == {"loss"}


def test_resumed_fit(tmp_path, read_events):
    model = functional_model(layers.DotProductAttention(name="look"))
    fit(model, AttentionSummary(tmp_path, PAIR))
    fit(model, AttentionSummary(tmp_path, PAIR), 4, initial_epoch=2)
    events = read_events(tmp_path)
    assert len(events.steps) == 5
    assert all(steps == [0, 1, 2, 3] for steps in events.steps.values())


def test_another_fit_into_the_same_folder(tmp_path):
    model = functional_model(layers.DotProductAttention(name="look"))
    fit(model, AttentionSummary(tmp_path, PAIR), 4)
    assert list_steps(tmp_path) == [0, 1, 2, 3]
    fit(model, AttentionSummary(tmp_path, PAIR), 2)
    assert list_steps(tmp_path) == [0, 1]  # none of the fit before
    fit(model, AttentionSummary(tmp_path, PAIR), 3, initial_epoch=2)
    assert list_steps(tmp_path) == [0, 1, 2]


def test_it_follows_the_weights_and_is_traced_once(tmp_path, monkeypatch):
    traces = []

    class Counting(layers.DotProductAttention):
        def score(self, query, key):
            traces.append(None)
            return super().score(query, key)

    model = functional_model(Counting(name="look"))
    callback = AttentionSummary(tmp_path, PAIR, model=model)
    before = callback.scores()["look"]
    traces.clear()
    model.set_weights([5 * weight + 1 for weight in model.get_weights()])
    after = callback.scores()["look"]
    assert not traces
    assert np.abs(after - before).max() > 0.01


def test_it_changes_nothing_in_the_fit(tmp_path):
    weights = []
    for callback in (
        keras.callbacks.Callback(),
        AttentionSummary(tmp_path, PAIR),
    ):
        keras.utils.set_random_seed(3)
        model = functional_model(layers.AdditiveAttention(units=6, dropout=0.5))
        fit(model, callback, 2)
        weights.append(model.get_weights())
    for one, other in zip(*weights):
        np.testing.assert_array_equal(one, other)


def test_choosing_layers(tmp_path):
    first = layers.DotProductAttention(name="first")
    second = layers.DotProductAttention(name="second")
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, second(first(inputs, inputs), inputs))
    samples = AttentionSamples(
        np.ones((1, 3, 8), "float32"), {"text": Side([["a", "b", "c"]])}
    )

    def names(wanted):
        callback = AttentionSummary(tmp_path, samples, wanted, model=model)
        return list(callback.scores())

    assert names(None) == ["first", "second"]
    assert names(["second"]) == ["second"]
    assert names(["f*", "second"]) == ["first", "second"]
    with pytest.raises(
        ValueError, match=r"here: first, second\. Received: layers=.*third"
    ):
        names(["first", "third"])


def test_options_that_are_none():
    with pytest.raises(TypeError, match=r"Received: layers='encoder/\*'"):
        AttentionSummary("unused", PAIR, layers="encoder/*")
    with pytest.raises(ValueError, match="Received: max_images=-1"):
        AttentionSummary("unused", PAIR, max_images=-1)


def test_samples_that_do_not_fit_stop_before_the_first_epoch(tmp_path):
    wrong = AttentionSamples(
        [TARGET, SOURCE], {"source": side(SOURCE), "target": side(SOURCE)}
    )
    model = functional_model(layers.DotProductAttention(name="look"))
    epochs = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: pytest.fail("An epoch began.")
    )
    with pytest.raises(ValueError, match="'look' have 3 samples and the leng"):
        model.fit(
            [TARGET, SOURCE],
            TARGET,
            callbacks=[AttentionSummary(tmp_path, wrong), epochs],
            verbose=0,
        )


# Two pictures of 2 by 3 patches.
IMAGES = np.random.default_rng(3).random((2, 8, 12, 1)).astype("float32")


def image_classifier(pooling):
    return zoo.create_model(
        "vision_transformer_tiny",
        image_shape=(8, 12, 1),
        num_classes=5,
        patch_size=4,
        num_layers=2,
        num_heads=3,
        hidden_dim=12,
        intermediate_dim=16,
        pooling=pooling,
    )


@pytest.mark.parametrize("pooling", ["class_token", "mean", "attention"])
def test_image_classifier(tmp_path, read_events, pooling):
    model = image_classifier(pooling)
    side = PatchSide(IMAGES, (2, 3), int(pooling == "class_token"))
    samples = AttentionSamples(2 * IMAGES - 1, {"image": side})
    AttentionSummary(tmp_path, samples, model=model).write(0)
    events = read_events(tmp_path)
    few = AttentionSummary(tmp_path / "few", samples, ["*/1/*"], 1, model=model)
    few.write(0)
    fewer = read_events(tmp_path / "few")
    assert [tag for tag in fewer.steps if "/maps/" in tag] == [
        "attention/maps/encoder/1/self"
    ]
    for tag in ("attention/maps/encoder/1/self", "attention/rollout"):
        assert len(fewer.pictures(tag, 0)) == 1
    scores = model.attention_scores(samples.inputs)
    assert ("pooling" in scores) == (pooling == "attention")
    assert set(events.steps) == {
        "attention/rollout",
        *(f"attention/head_redundancy/encoder/{n}/self" for n in (0, 1)),
        *(f"attention/{name}/{layer}" for name in _TAGS for layer in scores),
    }
    for layer, values in scores.items():
        for sample, drawing in enumerate(
            events.pictures(f"attention/maps/{layer}", 0)
        ):
            expected = patch_map(
                values[sample], IMAGES[sample], (2, 3), side.num_prefix_tokens
            )
            np.testing.assert_allclose(drawing, expected, atol=2)
    rollout = model.rollout(samples.inputs)
    for sample, drawing in enumerate(events.pictures("attention/rollout", 0)):
        expected = rollout_picture(rollout[sample], IMAGES[sample])
        np.testing.assert_allclose(drawing, expected, atol=2)


@pytest.mark.parametrize("pooling", ["class_token", "mean", "attention"])
def test_text_classifier(tmp_path, read_events, pooling):
    model = zoo.create_model(
        "transformer_classifier_tiny",
        vocabulary_size=20,
        num_classes=5,
        num_layers=1,
        num_heads=2,
        hidden_dim=12,
        intermediate_dim=16,
        pooling=pooling,
    )
    samples = AttentionSamples({"tokens": SOURCE}, {"text": side(SOURCE)})
    # Whatever layers are chosen, the rollout is of all.
    callback = AttentionSummary(tmp_path, samples, ["encoder/*"], model=model)
    callback.write(0)
    events = read_events(tmp_path)
    assert {
        tag for tag in events.steps if "/maps/" in tag or "roll" in tag
    } == {
        "attention/maps/encoder/0/self",
        "attention/rollout",
    }
    scores = model.attention_scores(samples.inputs)
    weights = np.asarray(scores["encoder/0/self"]).mean(axis=1)
    held = 0.5 * weights + 0.5 * np.eye(7)
    held /= held.sum(axis=-1, keepdims=True)
    summary = {
        "class_token": held[:, 0],
        "mean": np.stack(
            [
                rows[: np.sum(ids != 0)].mean(0)
                for rows, ids in zip(held, SOURCE)
            ]
        ),
    }
    if pooling == "attention":
        pooled = np.asarray(scores["pooling"])[:, 0]
        summary["attention"] = (pooled @ held)[:, 0]
    written = events.pictures("attention/rollout", 0)
    assert len(written) == 3
    for drawing, values, tokens in zip(
        written, summary[pooling], samples.sides["text"].tokens
    ):
        expected = token_strip(values, tokens)
        height, width, _ = expected.shape
        np.testing.assert_allclose(drawing[:height, :width], expected, atol=2)


def test_pictures_that_do_not_fit_stop_before_the_first_epoch(tmp_path):
    model = image_classifier("class_token")
    model.compile("sgd", "mse")
    model.build()
    samples = AttentionSamples(IMAGES, {"image": PatchSide(IMAGES, (2, 3))})
    callback = AttentionSummary(tmp_path, samples)
    with pytest.raises(ValueError, match=r"length 7.*num_prefix_tokens=0"):
        model.fit(IMAGES, np.ones((2, 5)), callbacks=[callback], verbose=0)


def test_no_model(tmp_path):
    with pytest.raises(ValueError, match="Received: model=None"):
        AttentionSummary(tmp_path, PAIR).write(0)

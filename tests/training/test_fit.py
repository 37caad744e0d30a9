"""The loop over epochs, with a model of one number a token."""

import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from preprocessing.pair_batches import PairBatches
from preprocessing.pair_batches import TokenizedPairs
from training.averaging import average_epochs
from training.averaging import EpochWeights
from training.fit import best_epoch
from training.fit import fit as fit_objective
from training.fit import is_better
from training.fit import settle_best
from training.interruption import InterruptedFitError
from training.objective import translation_objective
from training.optimizer import averaged_weights
from training.optimizer import make_optimizer
from training.progress import StopWhenNotFinite
from training.recipe import TranslationRecipe


@keras.saving.register_keras_serializable(package="tests")
class Unigram(keras.Model):
    """Logits of the next token that depend on nothing."""

    def build(self, input_shape=None):
        self.logits = self.add_weight(
            shape=(10,), initializer="zeros", name="bias"
        )

    def call(self, inputs, training=None):
        ones = tf.ones_like(inputs["target"], tf.float32)
        return ones[..., None] * self.logits


@pytest.fixture
def batches():
    ids = tf.ragged.constant([[5, 6, 3], [5, 3], [5, 5, 5, 3]] * 4, tf.int32)
    return PairBatches(TokenizedPairs(ids, ids), 32)


@pytest.fixture
def model(batches):
    model = Unigram()
    inputs, *_ = next(iter(batches.epochs().take(1)))
    model(inputs)
    return model


def fit(model, recipe, *arguments, **options):
    """Fit on the next token."""
    objective = translation_objective(model, recipe)
    return fit_objective(objective, recipe, *arguments, **options)


def _recipe(**options):
    return TranslationRecipe(
        **{
            "epochs": 3,
            "learning_rate": 0.1,
            "warmup_steps": 0,
            "schedule": "constant",
            "jit": False,
            "validation_metric": "loss",
            **options,
        }
    )


class Scores:
    """Gives scores in turn, and notes the weights at each call."""

    def __init__(self, model, values, metric="loss"):
        self.model, self.metric = model, metric
        self.values = iter(values)
        self.weights = []

    def __call__(self):
        self.weights.append(self.model.logits.numpy())
        return {self.metric: next(self.values)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("last", [0, 2])
def test_a_signal_while_an_epoch_is_scored(number, last, batches, tmp_path):
    def stop(epoch, scores):
        if epoch == last:
            signal.raise_signal(number)

    whole, first, second = Unigram(), Unigram(), Unigram()
    scores = [2.0, 1.0, 0.5]
    fit(whole, _recipe(), batches, Scores(whole, scores), tmp_path / "whole")
    folder = tmp_path / "parts"
    before = signal.getsignal(number)
    with pytest.raises(InterruptedFitError) as caught:
        fit(first, _recipe(), batches, Scores(first, scores), folder, [stop])
    assert f"after epoch {last + 1}. With" in str(caught.value)
    assert caught.value.signal == number
    assert signal.getsignal(number) is before
    assert (folder / f"state-000{last + 1}-00000000.index").exists()
    rest = scores[last + 1 :]
    fit(second, _recipe(), batches, Scores(second, rest), folder)
    np.testing.assert_array_equal(second.logits, whole.logits)


@pytest.mark.parametrize("metric", ["loss", "alignment_error_rate"])
def test_less_is_better(metric):
    assert is_better(metric, 5.0, None)
    assert is_better(metric, 0.5, 1.0)
    assert not is_better(metric, 1.0, 1.0)
    assert not is_better(metric, 1.5, 1.0)


@pytest.mark.parametrize(
    "metric", ["bleu", "chrf", "exact_match", "token_accuracy"]
)
def test_more_is_better(metric):
    assert is_better(metric, 0.0, None)
    assert is_better(metric, 1.5, 1.0)
    assert not is_better(metric, 1.0, 1.0)
    assert not is_better(metric, 0.5, 1.0)


def test_the_best_epoch_is_the_first_of_the_best():
    history = [{"bleu": value} for value in (1.0, 3.0, 3.0, 2.0)]
    assert best_epoch("bleu", history) == (1, 3.0)
    assert best_epoch("bleu", []) == (-1, None)


def test_the_best_model_is_kept(model, batches, tmp_path):
    scores = Scores(model, [2.0, 1.0, 1.5])
    history = fit(model, _recipe(), batches, scores, tmp_path)
    assert [row["loss"] for row in history] == [2.0, 1.0, 1.5]
    assert all(row["seconds"] > 0 for row in history)
    best = keras.saving.load_model(tmp_path / "best.keras", compile=False)
    np.testing.assert_array_equal(best.logits.numpy(), scores.weights[1])
    assert not np.array_equal(scores.weights[1], scores.weights[2])


def test_a_better_model_waits_for_the_state_that_knows_of_it(batches, tmp_path):
    def killed(epoch, scores):
        if epoch == 1:
            raise KeyboardInterrupt

    def kept():
        model = keras.saving.load_model(tmp_path / "best.keras", compile=False)
        return model.logits.numpy()

    first, second = Unigram(), Unigram()
    scores = Scores(first, [2.0, 1.0])
    with pytest.raises(KeyboardInterrupt):
        fit(first, _recipe(), batches, scores, tmp_path, watch=[killed])
    waiting = tmp_path / "best-0002.keras"
    assert waiting.exists()
    np.testing.assert_array_equal(kept(), scores.weights[0])
    # Done again, the epoch is no better, as it can be on another device.
    fit(second, _recipe(), batches, Scores(second, [3.0, 3.0]), tmp_path)
    assert not waiting.exists()
    np.testing.assert_array_equal(kept(), scores.weights[0])
    # Of a process that ended when the state was written.
    (tmp_path / "best.keras").rename(waiting)
    history = [{"loss": 2.0}, {"loss": 1.0}]
    settle_best(tmp_path / "best.keras", "loss", history)
    assert not waiting.exists()
    np.testing.assert_array_equal(kept(), scores.weights[0])


def test_training_learns_the_frequencies(model, batches, tmp_path):
    recipe = _recipe(epochs=60, learning_rate=0.05)
    scores = Scores(model, [0.0] * 60)
    history = fit(model, recipe, batches, scores, tmp_path)
    # Of 36 tokens 20 are 5, 4 are 6 and 12 are END.
    entropy = -sum(n / 36 * np.log(n / 36) for n in (20, 4, 12))
    assert history[-1]["training_loss"] == pytest.approx(entropy, abs=0.02)


def test_watchers_see_each_epoch(model, batches, tmp_path):
    seen = []
    fit(
        model,
        _recipe(epochs=2),
        batches,
        Scores(model, [2.0, 1.0]),
        tmp_path,
        watch=[lambda epoch, scores: seen.append((epoch, dict(scores)))],
    )
    assert [epoch for epoch, _ in seen] == [0, 1]
    assert [scores["loss"] for _, scores in seen] == [2.0, 1.0]
    assert all("training_loss" in scores for _, scores in seen)


def test_early_stopping(model, batches, tmp_path, capsys):
    recipe = _recipe(epochs=9, early_stop_patience=2)
    values = [3.0, 2.0, 2.5, 2.0, 1.0]
    scores = Scores(model, values)
    history = fit(model, recipe, batches, scores, tmp_path)
    assert len(history) == 4
    assert "No better loss for 2 epochs" in capsys.readouterr().out


def test_what_was_stopped_early_does_not_go_on(model, batches, tmp_path):
    recipe = _recipe(epochs=9, early_stop_patience=1)
    first = fit(model, recipe, batches, Scores(model, [1.0, 2.0]), tmp_path)
    again = fit(model, recipe, batches, Scores(model, []), tmp_path)
    assert again == first
    assert len(again) == 2


def test_no_patience_never_stops(model, batches, tmp_path):
    history = fit(
        model, _recipe(epochs=4), batches, Scores(model, [1, 2, 3, 4]), tmp_path
    )
    assert len(history) == 4


def test_a_loss_that_is_no_number_ends_the_training(model, batches, tmp_path):
    model.logits.assign([float("nan")] * 10)
    with pytest.raises(FloatingPointError, match="no longer finite at step 1"):
        fit(model, _recipe(), batches, Scores(model, [1.0]), tmp_path)
    assert not (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_stop_when_not_finite(loss):
    callback = StopWhenNotFinite()
    callback.on_train_batch_end(0, {"loss": 1e30})
    with pytest.raises(FloatingPointError, match="step 5"):
        callback.on_train_batch_end(4, {"loss": loss})


def test_averages_are_in_place_only_inside(model, batches, tmp_path):
    recipe = _recipe(epochs=1, average_decay=0.5)
    scores = Scores(model, [1.0])
    fit(model, recipe, batches, scores, tmp_path)
    own = np.arange(10, dtype="float32")
    model.logits.assign(own)  # Keras ends a fit with the averages in place
    with pytest.raises(RuntimeError), averaged_weights(model):
        np.testing.assert_array_equal(model.logits, scores.weights[0])
        raise RuntimeError("an evaluation that fails")
    np.testing.assert_array_equal(model.logits, own)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_average_by_hand(scaled, model, batches):
    # Note the weights after each step.
    recipe = _recipe(epochs=1, average_decay=0.75)
    seen = []

    class Note(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.logits.numpy())

    optimizer = make_optimizer(recipe, 10)
    if scaled:  # as Keras does with float16
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, 1.0)
    model.compile(optimizer=optimizer, loss=_mean_loss)
    inputs, targets, weights = next(iter(batches.epochs().take(1)))
    data = tf.data.Dataset.from_tensors((inputs, targets, weights)).repeat(3)
    model.fit(data, verbose=0, shuffle=False, callbacks=[Note()])
    average = seen[0]
    for weights in seen[1:]:
        average = 0.75 * average + 0.25 * weights
    model.logits.assign(seen[-1])
    with averaged_weights(model):
        np.testing.assert_allclose(model.logits, average, rtol=1e-5)
    assert not np.allclose(seen[-1], average)


def _mean_loss(targets, logits):
    return keras.losses.sparse_categorical_crossentropy(
        targets, logits, from_logits=True
    )


def test_without_averaging_nothing_changes(model):
    model.compile(optimizer=make_optimizer(_recipe(), 10), loss=_mean_loss)
    own = model.logits.numpy()
    with averaged_weights(model):
        np.testing.assert_array_equal(model.logits, own)


def test_biases_do_not_decay():
    optimizer = make_optimizer(_recipe(weight_decay=0.5, learning_rate=0.1), 10)
    kernel = keras.Variable([1.0], name="kernel")
    bias = keras.Variable([1.0], name="bias")
    optimizer.apply([tf.zeros(1), tf.zeros(1)], [kernel, bias])
    np.testing.assert_allclose(kernel.value, [0.95], rtol=1e-6)
    np.testing.assert_allclose(bias.value, [1.0])


def test_gradients_are_clipped_by_their_global_norm():
    optimizer = make_optimizer(_recipe(gradient_clip_norm=1.0), 10)
    assert optimizer.global_clipnorm == 1.0
    assert (
        make_optimizer(_recipe(gradient_clip_norm=0.0), 10).global_clipnorm
        is None
    )


# Checkpoint averaging.


@pytest.mark.parametrize("better", [False, True])
def test_the_mean_of_the_last_epochs(batches, model, tmp_path, better):
    recipe = _recipe(epochs=5, average_epochs=3)
    weights = EpochWeights(tmp_path, model, 3)
    scores = Scores(model, [5.0, 4.0, 1.0, 2.0, 3.0, 0.5 if better else 1.5])
    history = fit(model, recipe, batches, scores, tmp_path, keep=weights.save)
    assert list(weights.files()) == [2, 3, 4]
    found, kept = average_epochs(
        weights, recipe, scores, history, tmp_path / "best.keras"
    )
    assert kept == better and found == {"loss": 0.5 if better else 1.5}
    # What was scored last is the mean of what was scored after the epochs.
    mean = np.mean(scores.weights[2:5], axis=0)
    np.testing.assert_allclose(scores.weights[-1], mean, rtol=1e-6)
    best = keras.saving.load_model(tmp_path / "best.keras", compile=False)
    np.testing.assert_array_equal(
        best.logits, scores.weights[-1 if better else 2]
    )


def test_averages_are_those_that_are_scored(batches, model, tmp_path):
    # With a moving average that is what each epoch is scored with.
    recipe = _recipe(epochs=2, average_epochs=2, average_decay=0.9)
    weights = EpochWeights(tmp_path, model, 2)
    scores = Scores(model, [2.0, 1.0])
    fit(model, recipe, batches, scores, tmp_path, keep=weights.save)
    (found,) = weights.mean()
    np.testing.assert_allclose(found, np.mean(scores.weights, axis=0), 1e-6)


def test_an_error_in_the_data_is_raised_as_it_is(
    model, batches, tmp_path, monkeypatch
):
    real = batches.batch

    def fail():
        batches.error = ValueError("a file is gone")
        raise batches.error

    def batch(*arguments):
        tf.py_function(fail, [], [])
        return real(*arguments)

    monkeypatch.setattr(batches, "batch", batch)
    with pytest.raises(ValueError, match="a file is gone"):
        fit(model, _recipe(), batches, dict, tmp_path)

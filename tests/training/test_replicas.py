"""What a fit on replicas does, with one replica in this process."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from preprocessing.classification_batches import TextBatches
from tests.training.workers import free_ports
from training.cluster import Cluster
from training.cluster import DistributionArguments
from training.cluster import LostPeerError
from training.configuration import ConfigurationError
from training.configuration import fit_parser
from training.distribution import start_distribution
from training.fit import fit
from training.interruption import StopSignals
from training.losses import GlobalBatchLoss
from training.losses import TokenCrossEntropy
from training.objective import Objective
from training.one_process import OneProcess
from training.optimizer import AdamWOnReplicas
from training.optimizer import make_optimizer
from training.recipe import TextClassificationRecipe
from training.recipe import TranslationRecipe
from training.replicas import Replicas
from zoo.transformer_classifier import TransformerClassifier


@pytest.fixture
def replicas():
    return start_distribution(DistributionArguments(kind="mirrored"))


def _worker(index):
    """One of two workers, of which the other is not there."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    cluster = Cluster({"worker": workers}, "worker", index)
    arguments = DistributionArguments("multi_worker", cluster=cluster)
    return Replicas(tf.distribute.MirroredStrategy(), arguments)


def test_a_loss_of_the_whole_batch():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(3, 5, 7)).astype("float32")
    tokens = generator.integers(0, 7, (3, 5)).astype("int32")
    weights = np.float32([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    loss = TokenCrossEntropy(0.1)
    found = GlobalBatchLoss(loss)(tokens, logits, weights)
    np.testing.assert_allclose(found, loss(tokens, logits, weights), rtol=1e-6)
    with pytest.raises(ValueError, match="sample_weight=None"):
        GlobalBatchLoss(loss)(tokens, logits)


def test_the_optimizer_does_what_adamw_does():
    recipe = TranslationRecipe(
        learning_rate=0.1,
        warmup_steps=2,
        weight_decay=0.1,
        average_decay=0.9,
        gradient_accumulation=2,
        gradient_clip_norm=0.5,
    )
    results = []
    for kind in (keras.optimizers.AdamW, AdamWOnReplicas):
        optimizer = make_optimizer(recipe, 6, kind)
        variables = [tf.Variable([1.0, -2.0]), tf.Variable([[3.0]])]
        for step in range(6):
            gradients = [tf.constant([0.3, step - 2.0]), tf.ones((1, 1))]
            optimizer.apply(gradients, variables)
        results.append([*variables, *optimizer.variables])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def _fitted(distribution, folder):
    """The weights of a small classifier after a fit."""
    rows = [[5 + n % 3] * (2 + n % 4) for n in range(10)]
    batches = TextBatches(
        tf.ragged.constant(rows, tf.int32), np.arange(10) % 2, 2, 4
    )
    keras.utils.set_random_seed(1)
    with distribution.scope():
        model = TransformerClassifier(
            vocabulary_size=9,
            max_sequence_length=8,
            num_classes=2,
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=8,
            dropout=0.2,
        )
        model({"tokens": np.zeros((1, 2), np.int32)})
    recipe = TextClassificationRecipe(
        epochs=2,
        warmup_steps=1,
        average_decay=0.5,
        validation_metric="loss",
        jit=False,
    )
    history = fit(
        Objective(
            model,
            model,
            keras.losses.CategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            ),
        ),
        recipe,
        batches,
        lambda: {"loss": 1.0},
        folder,
        distribution=distribution,
    )
    return history, [variable.numpy() for variable in model.variables]


def test_one_replica_fits_as_none(replicas, tmp_path):
    assert replicas.is_chief
    ours, weights = _fitted(replicas, tmp_path / "replicas")
    theirs, expected = _fitted(OneProcess(), tmp_path / "none")
    for left, right in zip(weights, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
    for row, other in zip(ours, theirs, strict=True):
        assert row["training_loss"] == pytest.approx(other["training_loss"])


@pytest.mark.parametrize("process", [0, 1])
def test_each_replica_draws_other_numbers(process):
    worker = _worker(process)
    worker._first = process  # as it is where the other one is there
    with worker.scope():
        generator = keras.random.SeedGenerator(7)
    worker._spread(generator.state.value)
    drawn = float(keras.random.uniform((), seed=generator))
    expected = keras.random.SeedGenerator(7)
    first = float(keras.random.uniform((), seed=expected))
    assert (drawn == first) == (process == 0)


def test_a_signal_is_agreed_on(replicas):
    signals = StopSignals()
    replicas.agree(signals)
    assert signals.agreed is None
    signals.received = 15
    replicas.agree(signals)
    assert signals.agreed == 15


def test_what_replicas_can_not_do(replicas):
    assert not replicas.suited(TranslationRecipe(jit=True)).jit
    with pytest.raises(ConfigurationError, match="precision=mixed_float16"):
        replicas.suited(TranslationRecipe(precision="mixed_float16"))


def test_a_worker_that_is_gone_is_named():
    worker = _worker(1)
    assert not worker.is_chief
    address = worker.cluster.jobs["worker"][0]
    with pytest.raises(LostPeerError, match=f"worker 0 at {address}"):  # noqa: SIM117
        with worker.errors():
            raise tf.errors.UnavailableError(None, None, "Socket closed")
    with pytest.raises(tf.errors.InvalidArgumentError), worker.errors():
        raise tf.errors.InvalidArgumentError(None, None, "a bug")


def test_only_the_first_worker_prints(capsys):
    for index in (0, 1):
        with _worker(index).quiet():
            print(f"worker {index}")
    assert capsys.readouterr().out == "worker 0\n"


def test_all_stop_if_one_is_asked_to():
    signals = StopSignals()
    signals.received = 15
    assert signals.asked() == [1.0, 0.0]
    other = StopSignals()
    other.agree([0.0, 0.0])
    assert other.agreed is None
    other.agree([1.0, 0.0])
    assert other.agreed == 15


def test_distribution_in_a_file_is_refused():
    parser = fit_parser([])
    arguments = parser.parse_args(["--distribute", "mirrored"])
    with pytest.raises(ConfigurationError, match="distribute=mirrored"):
        OneProcess().check_asked_for(arguments)
    OneProcess().check_asked_for(parser.parse_args([]))


def test_a_data_server_that_does_not_answer():
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with pytest.raises(ConfigurationError, match=f"grpc://{address}"):
        start_distribution(DistributionArguments(servers=(address,)))

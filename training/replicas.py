"""A fit on several devices, perhaps of several machines."""

import contextlib
import dataclasses
import hashlib
import os

import keras
import tensorflow as tf

from preprocessing.batches import Parts
from training.cluster import LostPeerError
from training.configuration import ConfigurationError
from training.losses import GlobalBatchLoss
from training.one_process import OneProcess
from training.optimizer import AdamWOnReplicas

# Far apart, so that the draws of the replicas have nothing in common.
_SEED_STRIDE = 0x1E3779B9


class Replicas(OneProcess):
    """A fit on several devices, whose variables are alike after each step.

    Each replica has its part of each batch and adds its gradients to those of
    the others, before anything is done with them. All that is then done to a
    variable each replica does by itself.

    Args:
        strategy: The `tf.distribute.Strategy`.
        asked_for: The `DistributionArguments`.
    """

    optimizer = AdamWOnReplicas

    def __init__(self, strategy, asked_for):
        super().__init__(asked_for)
        self.strategy = strategy
        self.cluster = cluster = asked_for.cluster
        self.replicas = strategy.num_replicas_in_sync
        workers = len(cluster.tasks) if cluster else 1
        self._local = self.replicas // workers
        self._first = self._local * (cluster.number if cluster else 0)
        self._over_all = tf.function(
            lambda number: self._run(lambda: _total(number)), autograph=False
        )

    @property
    def is_chief(self):
        return self.cluster is None or self.cluster.number == 0

    @contextlib.contextmanager
    def scope(self):
        def own_copies(next_creator, **options):
            # Each replica assigns to its own, without asking the others.
            options["aggregation"] = tf.VariableAggregation.NONE
            options["synchronization"] = tf.VariableSynchronization.AUTO
            return next_creator(**options)

        with self.strategy.scope(), tf.variable_creator_scope(own_copies):
            yield

    @contextlib.contextmanager
    def quiet(self):
        with contextlib.ExitStack() as stack:
            if not self.is_chief:
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            yield

    @contextlib.contextmanager
    def errors(self):
        try:
            yield
        except tf.errors.OpError as error:
            if self.cluster is None or not _is_of_network(error):
                raise
            lost = " and ".join(self.cluster.lost(str(error)))
            raise LostPeerError(
                f"{lost or 'Another worker'} is gone or does not answer, so "
                f"{self.cluster.name(self.cluster.tasks[self.cluster.number])}"
                " stops. With the same command on all workers the fit goes on "
                "after the last state that was saved."
            ) from error

    def suited(self, recipe):
        if recipe.precision == "mixed_float16":
            raise ConfigurationError(
                "`--distribute` goes with float32 and mixed_bfloat16. "
                f"Received: precision={recipe.precision}"
            )
        # XLA compiles no sums over several devices of one process, nor over
        # several processes.
        return dataclasses.replace(recipe, jit=False)

    def loss(self, loss):
        return keras.tree.map_structure(GlobalBatchLoss, loss)

    def iterator(self, batches, first, skip):
        parts = Parts(self._first, self._local, self.replicas)

        def epochs(context):
            return batches.epochs(first, skip, parts, self.servers)

        return iter(self.strategy.distribute_datasets_from_function(epochs))

    def train_function(self, model, signals):
        @tf.function(autograph=False, reduce_retracing=True)
        def distributed(iterator, asked):
            def on_replica(batch):
                total = _total(asked)
                return model.train_step(batch)["loss"], total

            return self._run(on_replica, iterator.get_next())

        def step(iterator):
            asked = tf.constant(signals.asked(), tf.float32)
            loss, total = distributed(iterator, asked)
            signals.agree(total.numpy())
            return {"loss": loss}

        return step

    def agree(self, signals):
        asked = tf.constant(signals.asked(), tf.float64)
        signals.agree(self._over_all(asked).numpy())

    def prepare(self, model, batches):
        for variable in model.variables:
            if variable.name == "seed_generator_state":
                self._spread(variable.value)
        if isinstance(model.loss, dict):
            # Keras makes their metrics in the first step, where each replica
            # would make its own.
            inputs, targets, _ = next(iter(batches.epochs().take(1)))
            with self.scope():
                model._compile_loss.build(targets, model(inputs))

    def _spread(self, seed):
        copies = self.strategy.experimental_local_results(seed)
        for number, copy in enumerate(copies, self._first):
            copy.assign_add(tf.constant([number * _SEED_STRIDE, 0], copy.dtype))

    def of_chief(self, number):
        # Exact up to 2^53.
        own = float(number) if self.is_chief else 0.0
        total = self._over_all(tf.constant(own, tf.float64))
        return int(total.numpy()) // self._local

    def in_turn(self, act, follow):
        if self.is_chief:
            result = act()
            self.of_chief(0)
            return result
        self.of_chief(0)
        return follow()

    def check_same(self, what, content):
        if self.cluster is None:
            return
        own = _digest(content())
        if self.of_chief(own) != own:
            raise ConfigurationError(
                f"{what} of {self.cluster.name(self.cluster.tasks[0])} is "
                "another one than that of "
                f"{self.cluster.name(self.cluster.tasks[self.cluster.number])}."
                " All workers need the same command, data and folder of runs."
            )

    def _run(self, function, *arguments):
        """What a function gives on the first replica of this process."""
        found = self.strategy.run(function, arguments)
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0],
            found,
        )


def _is_of_network(error):
    return isinstance(
        error,
        (
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
            tf.errors.UnavailableError,
        ),
    )


def _total(value):
    """The sum of a value over all replicas, asked for on each of them."""
    context = tf.distribute.get_replica_context()
    # A copy of its own, on the device of the replica.
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))


def _digest(arrays):
    """A number below 2^48 that tells lists of arrays apart."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return int.from_bytes(found.digest()[:6], "big")

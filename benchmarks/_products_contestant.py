"""The matrix products of a model alone: what no implementation can beat.

Each runs as its framework runs it best, one after the other, on matrices
that are there already. Weights differ from layer to layer, as in a model, so
that they come from memory and not from a cache.
"""

import numpy as np

from benchmarks._products import Product
from benchmarks._timing import time_steps


def create(framework, products, precision, num_threads):
    """See `_workers`.

    Args:
        framework: `"tensorflow"` or `"torch"`.
        products: A list of lists, the fields of `Product`.
        precision: `"float32"` or `"bfloat16"`.
        num_threads: Threads of each pool.
    """
    functions = {"tensorflow": _tensorflow, "torch": _torch}[framework]
    return _Products(
        [Product(*fields) for fields in products],
        *functions(precision, num_threads),
    )


def _tensorflow(precision, num_threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)

    def give(array):
        return tf.cast(tf.constant(array), precision)

    return give, tf.matmul, lambda tensor: tensor.numpy()


def _torch(precision, num_threads):
    import torch

    torch.set_num_threads(num_threads)
    torch.set_grad_enabled(False)

    def give(array):
        return torch.from_numpy(array).to(getattr(torch, precision))

    return give, torch.matmul, lambda tensor: tensor


class _Products:
    def __init__(self, products, give, multiply, finish):
        draw = np.random.default_rng(0).normal
        self.multiply, self.finish = multiply, finish
        self.pairs = []
        for product in products:
            batch = (product.batch_size,) if product.batch_size > 1 else ()

            def matrix(*sizes, batch=batch):
                return give(draw(size=(*batch, *sizes)).astype("float32"))

            left = matrix(product.rows, product.inner)
            for _ in range(product.count):
                right = matrix(product.inner, product.columns)
                self.pairs.append((left, right))

    def _run(self):
        for left, right in self.pairs:
            outputs = self.multiply(left, right)
        self.finish(outputs)

    def time(self, kind, steps):
        """Seconds of all products once."""
        return time_steps(self._run, steps)

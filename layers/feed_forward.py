"""The feed-forward network of a Transformer block."""

import keras
from keras import ops

from layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="attention_zoo")
class FeedForward(keras.layers.Layer):
    """Two dense layers, applied to each position by itself (Vaswani).

        y = activation(x W_1 + b_1) W + b

    With `gated`, one product opens or closes the other (Shazeer):

        y = (activation(x W_1 + b_1) * (x W_2 + b_2)) W + b

    which is GLU with the activation "sigmoid", GEGLU with "gelu" and SwiGLU
    with "silu". W_1 and W_2 are then the halves of one matrix. The GELU is
    the exact one, with the error function, as in BERT and ViT.

    Args:
        hidden_dim: Width of the hidden layer.
        activation: Name of an activation of Keras, or a function.
        gated: Whether a second product is multiplied with the first.
        dropout: Fraction of the hidden layer to drop in training.
        use_bias: Whether there are b_1, b_2 and b.
        output_dim: Width of the outputs; None for that of the inputs.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of the matrices.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(..., dim)`, so `(batch_size, length, dim)`.
        training: Whether dropout is active.

    Returns:
        `(..., output_dim)`.

    Raises:
        ValueError: If `dropout` is not in [0, 1).

    Example:

    >>> layer = FeedForward(hidden_dim=512, activation="silu", gated=True)
    >>> outputs = inputs + layer(inputs)

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), equation 2;
        [Shazeer, 2020](https://arxiv.org/abs/2002.05202), equations 5 and 6.
    """

    def __init__(
        self,
        hidden_dim,
        activation="gelu",
        gated=False,
        dropout=0.0,
        use_bias=True,
        output_dim=None,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(
                "`dropout` must be in the range [0, 1). "
                f"Received: dropout={dropout}"
            )
        self.hidden_dim = hidden_dim
        self.activation = keras.activations.get(activation)
        self.gated = gated
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_dim = output_dim
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.dropout_layer = Dropout(
            dropout, seed=seed, name="dropout", dtype=self.dtype_policy
        )

    def build(self, inputs_shape):
        dim = inputs_shape[-1]
        self.hidden_projection = self._make_dense(
            self.hidden_dim * (2 if self.gated else 1), "hidden_projection"
        )
        self.hidden_projection.build((None, dim))
        self.output_projection = self._make_dense(
            dim if self.output_dim is None else self.output_dim,
            "output_projection",
        )
        self.output_projection.build((None, self.hidden_dim))

    def _make_dense(self, units, name):
        return keras.layers.Dense(
            units,
            use_bias=self.use_bias,
            # A copy: an initializer gives each weight of a shape the same.
            kernel_initializer=keras.initializers.get(
                keras.initializers.serialize(self.kernel_initializer)
            ),
            name=name,
            dtype=self.dtype_policy,
        )

    def call(self, inputs, training=None):
        # All positions below one another. On TensorFlow the product of more
        # than two axes finds them at run time, which XLA cannot compile
        # inside a loop.
        flat = ops.reshape(inputs, (-1, inputs.shape[-1]))
        hidden = self.hidden_projection(flat)
        if self.gated:
            gate, hidden = ops.split(hidden, 2, axis=-1)
            hidden = self.activation(gate) * hidden
        else:
            hidden = self.activation(hidden)
        hidden = self.dropout_layer(hidden, training=training)
        outputs = self.output_projection(hidden)
        sizes = ops.shape(inputs)[:-1]
        return ops.reshape(outputs, (*sizes, outputs.shape[-1]))

    def compute_output_shape(self, inputs_shape):
        *sizes, dim = inputs_shape
        return (*sizes, dim if self.output_dim is None else self.output_dim)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "hidden_dim": self.hidden_dim,
                "activation": keras.activations.serialize(self.activation),
                "gated": self.gated,
                "dropout": self.dropout,
                "use_bias": self.use_bias,
                "output_dim": self.output_dim,
                "seed": self.seed,
                "kernel_initializer": keras.initializers.serialize(
                    self.kernel_initializer
                ),
            }
        )
        return config

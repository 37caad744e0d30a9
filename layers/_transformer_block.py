"""What the blocks of a Transformer share: residual branches."""

import keras

from layers._nested import deserialize
from layers._nested import serialize
from layers._normalization import KINDS
from layers._normalization import make_normalization
from layers.dropout import Dropout
from layers.stochastic_depth import StochasticDepth


class TransformerBlock(keras.layers.Layer):
    """Base of the blocks: branches around which the inputs are carried.

        pre-norm    x + depth(dropout(branch(norm(x))))
        post-norm   norm(x + depth(dropout(branch(x))))

    Args:
        branches: `{name: layer}` in their order; a layer of None is left out.
        causal: Whether a position must not know of later ones.
        normalize_first: Pre-norm, else post-norm (the original).
        normalization: `"layer"`, `"rms"`, `"group"` or `"batch"`.
        num_groups: Number of groups of features, for `"group"`.
        epsilon: Added to the variance in the normalisation.
        dropout: Fraction of each branch's outputs to drop.
        stochastic_depth: Fraction of the samples that skip a branch.
        seed: Seed of both.
    """

    def __init__(
        self,
        branches,
        causal=False,
        normalize_first=True,
        normalization="layer",
        num_groups=32,
        epsilon=1e-6,
        dropout=0.0,
        stochastic_depth=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if normalization not in KINDS or normalization == "instance":
            raise ValueError(
                "`normalization` must be one of layer, rms, batch, group. "
                f"Received: normalization={normalization}"
            )
        self.normalize_first = normalize_first
        self.normalization = normalization
        self.num_groups = num_groups
        self.epsilon = epsilon
        self.dropout = dropout
        self.stochastic_depth = stochastic_depth
        self.seed = seed
        self.supports_masking = True
        for name, branch in branches.items():
            setattr(self, name, branch)
        self._names = [name for name in branches if branches[name] is not None]
        for place, name in enumerate(self._names):
            own = {"dtype": self.dtype_policy}
            own_seed = None if seed is None else seed + place
            setattr(
                self,
                f"{name}_normalization",
                make_normalization(
                    normalization,
                    num_groups=num_groups,
                    epsilon=epsilon,
                    causal=causal,
                    name=f"{name}_normalization",
                    **own,
                ),
            )
            setattr(
                self,
                f"{name}_dropout",
                Dropout(dropout, seed=own_seed, name=f"{name}_dropout", **own),
            )
            setattr(
                self,
                f"{name}_depth",
                StochasticDepth(
                    stochastic_depth,
                    seed=own_seed,
                    name=f"{name}_depth",
                    **own,
                ),
            )

    def build_branches(self, inputs_shape):
        """Build what stands around the branches."""
        for name in self._names:
            getattr(self, f"{name}_normalization").build(inputs_shape)

    def residual(self, name, inputs, function, mask=None, training=None):
        """One branch and what is carried around it.

        Args:
            name: Of the branch.
            inputs: `(batch_size, length, hidden_dim)`.
            function: What the branch does with normalised inputs.
            mask: Boolean `(batch_size, length)`, True where a position is
                real; for batch normalisation.
            training: Whether dropout is active.
        """

        def normalize(tensor):
            layer = getattr(self, f"{name}_normalization")
            return layer(tensor, mask=mask, training=training)

        outputs = function(
            normalize(inputs) if self.normalize_first else inputs
        )
        outputs = getattr(self, f"{name}_dropout")(outputs, training=training)
        outputs = getattr(self, f"{name}_depth")(outputs, training=training)
        outputs = inputs + outputs
        return outputs if self.normalize_first else normalize(outputs)

    def compute_mask(self, inputs, mask=None):
        return mask

    def get_config(self):
        config = super().get_config()
        for name in (
            "normalize_first",
            "normalization",
            "num_groups",
            "epsilon",
            "dropout",
            "stochastic_depth",
            "seed",
        ):
            config[name] = getattr(self, name)
        for name in self.BRANCHES:
            config[name] = serialize(getattr(self, name))
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize(config, cls.BRANCHES))

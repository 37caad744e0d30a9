"""The Vision Transformer, for large pictures and for small ones."""

from typing import Literal

import keras
from keras import ops

from layers import attention_rollout
from layers import ClassToken
from layers import ConvolutionalTokenizer
from layers import Dropout
from layers import PatchEmbedding
from layers import PositionEmbedding2D
from layers import rollout_map
from layers import ShiftedPatchEmbedding
from layers import SinusoidalPositionEncoding2D
from zoo._encoder_classifier import EncoderClassifier
from zoo._registry import Preset
from zoo._registry import register

TOKENIZERS = ("patch", "shifted_patch", "convolution")
POSITIONS = ("learned", "sinusoidal")


@keras.saving.register_keras_serializable(package="attention_zoo")
class VisionTransformer(EncoderClassifier):
    """A picture as a sequence of patches, encoder blocks, pooling, head.

        x = drop([class token; patches(image)] + positions)
        states = encoder(x)
        logits = head(drop(pool(states)))

    The blocks are pre-norm, and the last states are normalised. Pictures of
    another size than `image_shape` are taken too, and learned positions are
    then resampled to their grid of patches (see `PositionEmbedding2D`).

    Args:
        image_shape: `(height, width, channels)` of the pictures.
        num_classes: Number of classes; None for no head, so that the model
            gives what was pooled.
        patch_size: Side of a patch in pixels.
        num_layers: Number of encoder blocks.
        num_heads: Number of heads of each.
        hidden_dim: Width of the states.
        intermediate_dim: Width inside the feed-forward networks.
        tokenizer: `"patch"`; `"shifted_patch"`, patches of shifted copies
            beside those of the picture (Lee et al.); or `"convolution"`,
            convolutions that each halve the picture (Hassani et al.), as
            many as make `patch_size`, which must be a power of 2. The latter
            two help where there are few pictures.
        position: `"learned"` or `"sinusoidal"`.
        pooling: `"class_token"`: the state of a learned token in front of
            the patches; `"mean"`; or `"attention"`, a weighted mean whose
            weights are learned (sequence pooling of Hassani et al.). The
            latter two have no class token.
        pooler: Whether a dense layer with tanh follows the pooling.
        activation: Activation inside the feed-forward networks.
        dropout: Fraction to drop of the embedded patches, of the outputs of
            each branch, and of what was pooled.
        attention_dropout: Fraction of the attention weights to drop.
        stochastic_depth: Fraction of the samples that skip the last block;
            those before it are skipped less often.
        layer_norm_epsilon: Added to the variance in the normalisation.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        images: `(batch_size, height, width, channels)`, as the preprocessing
            scaled them.
        token_mask: Boolean `(batch_size, tokens)`: False leaves a token out
            as if it were not there, to see what depends on it. The class
            token, where there is one, is the first.
        training: Whether dropout is active.

    Returns:
        Logits `(batch_size, num_classes)`, float32 or wider; without a head
        what was pooled, `(batch_size, hidden_dim)`.

    Raises:
        ValueError: If a choice is unknown or a size does not fit.

    Example:

    >>> model = VisionTransformer((224, 224, 3), num_classes=10)
    >>> logits = model(images)
    >>> maps = model.rollout(images)  # (batch_size, 14, 14)

    References:
        [Dosovitskiy et al., 2021](https://arxiv.org/abs/2010.11929);
        [Hassani et al., 2021](https://arxiv.org/abs/2104.05704);
        [Lee et al., 2021](https://arxiv.org/abs/2112.13492).
    """

    task = "image_classification"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int | None,
        patch_size: int = 16,
        num_layers: int = 12,
        num_heads: int = 3,
        hidden_dim: int = 192,
        intermediate_dim: int = 768,
        tokenizer: Literal["patch", "shifted_patch", "convolution"] = "patch",
        position: Literal["learned", "sinusoidal"] = "learned",
        pooling: Literal["class_token", "mean", "attention"] = "class_token",
        pooler: bool = False,
        activation: str = "gelu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        layer_norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, known in (
            ("tokenizer", tokenizer, TOKENIZERS),
            ("position", position, POSITIONS),
        ):
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. "
                    f"Received: {name}={value}"
                )
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.patch_size = patch_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.tokenizer = tokenizer
        self.position = position
        self.pooling = pooling
        self.pooler = pooler
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.stochastic_depth = stochastic_depth
        self.layer_norm_epsilon = layer_norm_epsilon
        self._make_layers(normalize_first=True)
        self._make_embeddings(self.dtype_policy)

    def _make_embeddings(self, dtype):
        self.patches = self._make_tokenizer(dtype)
        self.class_token = None
        if self.pooling == "class_token":
            self.class_token = ClassToken(
                initializer=_small_numbers(), dtype=dtype, name="class_token"
            )
        options = {
            "num_prefix_tokens": self.num_prefix_tokens,
            "dtype": dtype,
            "name": "positions",
        }
        self._check_sizes()
        if self.position == "learned":
            height, width, _ = self.image_shape
            self.positions = PositionEmbedding2D(
                self.patches.grid_shape(height, width),
                initializer=_small_numbers(),
                **options,
            )
        else:
            self.positions = SinusoidalPositionEncoding2D(**options)
        self.drop_embedding = Dropout(
            self.dropout, dtype=dtype, name="drop_embedding"
        )

    def _make_tokenizer(self, dtype):
        options = {"dtype": dtype, "name": "patches"}
        if self.tokenizer == "patch":
            return PatchEmbedding(self.patch_size, self.hidden_dim, **options)
        if self.tokenizer == "shifted_patch":
            return ShiftedPatchEmbedding(
                self.patch_size,
                self.hidden_dim,
                epsilon=self.layer_norm_epsilon,
                **options,
            )
        num_layers = self.patch_size.bit_length() - 1
        if num_layers < 1 or self.patch_size != 2**num_layers:
            raise ValueError(
                "With convolutions that each halve the picture `patch_size` "
                "must be 2, 4, 8, ... "
                f"Received: patch_size={self.patch_size}"
            )
        return ConvolutionalTokenizer(self.hidden_dim, num_layers, **options)

    @property
    def num_prefix_tokens(self):
        """Number of tokens in front of the patches."""
        return int(self.pooling == "class_token")

    def _check_sizes(self):
        """Raise if the pictures cannot be cut into patches."""
        *sizes, _ = self.image_shape
        whole = all(size % self.patch_size == 0 for size in sizes)
        if self.tokenizer != "convolution" and not whole:
            raise ValueError(
                "Height and width of the pictures must be multiples of the "
                f"side of a patch. Received: patch_size={self.patch_size}, "
                f"image_shape={tuple(self.image_shape)}"
            )

    def build(self, images_shape=None):
        states_shape = (None, None, self.hidden_dim)
        self.patches.build((None, None, None, self.image_shape[-1]))
        if self.class_token is not None:
            self.class_token.build(states_shape)
        self.positions.build(states_shape)
        self._build_layers()

    def embed(self, images, training=None):
        channels = self.image_shape[-1]
        if images.shape[-1] != channels:
            raise ValueError(
                f"The pictures must have {channels} channels. "
                f"Received: images.shape={tuple(images.shape)}"
            )
        embedded = self.patches(images)
        if self.class_token is not None:
            embedded = self.class_token(embedded)
        embedded = self.positions(
            embedded, grid_shape=self.grid_shape_of(images)
        )
        return self.drop_embedding(embedded, training=training)

    def grid_shape_of(self, images):
        """Rows and columns of the patches of these pictures."""
        _, height, width, _ = ops.shape(images)
        return self.patches.grid_shape(height, width)

    def rollout(self, images, scores=None, heads=None):
        """How much what was pooled holds of each patch (attention rollout).

        Args:
            images: `(batch_size, height, width, channels)`.
            scores: What `attention_scores(images)` gave, where it is at hand.
            heads: Numbers of the heads that count; None for all.

        Returns:
            `(batch_size, rows, columns)`, float32. See `attention_rollout`
            and `rollout_map`: the row of the class token; or the mean of all
            rows, weighted by the pooling if it has weights.
        """
        if scores is None:
            scores = self.attention_scores(images)
        held = attention_rollout(
            [scores[f"encoder/{n}/self"] for n in range(self.num_layers)],
            heads=heads,
        )
        weights = None
        if self.pooling == "attention":
            weights = scores["pooling"][:, 0, 0]
        return rollout_map(
            held,
            self.grid_shape_of(images),
            query_weights=weights,
            num_prefix_tokens=self.num_prefix_tokens,
        )


def _small_numbers():
    return keras.initializers.TruncatedNormal(stddev=0.02)


# Published, at 224 pixels: name, layers, heads, width, parameters.
_LARGE_PICTURES = (
    ("tiny", 12, 3, 192, 5_524_416),
    ("small", 12, 6, 384, 21_665_664),
    ("base", 12, 12, 768, 85_798_656),
    ("large", 24, 16, 1024, 303_301_632),
)

register(
    *(
        Preset(
            name=f"vision_transformer_{size}",
            model=VisionTransformer,
            architecture={
                "patch_size": 16,
                "num_layers": num_layers,
                "num_heads": num_heads,
                "hidden_dim": hidden_dim,
                "intermediate_dim": 4 * hidden_dim,
                "stochastic_depth": 0.1,
            },
            dataset="images:DIR",
            recipe={"epochs": 100, "learning_rate": 1e-3, "weight_decay": 0.05},
            preprocessing={"height": 224, "width": 224, "channels": 3},
            parameters=parameters,
            counted_with={"image_shape": (224, 224, 3), "num_classes": None},
            paper="Dosovitskiy et al., 2021, https://arxiv.org/abs/2010.11929",
        )
        for size, num_layers, num_heads, hidden_dim, parameters in (
            _LARGE_PICTURES
        )
    )
)


def _small_pictures(
    dataset, image_shape, architecture, parameters, recipe, expected_score=""
):
    """A preset for small pictures, named after the set it was sized for."""
    return Preset(
        name=f"vision_transformer_tiny_{dataset}",
        model=VisionTransformer,
        architecture={
            "tokenizer": "convolution",
            "pooling": "attention",
            **architecture,
        },
        dataset=dataset,
        recipe=recipe,
        preprocessing={},
        parameters=parameters,
        counted_with={"image_shape": image_shape, "num_classes": 10},
        paper="Hassani et al., 2021, https://arxiv.org/abs/2104.05704",
        expected_score=expected_score,
    )


_RECIPE = {
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "average_decay": 0.999,
}

register(
    _small_pictures(
        "digits",
        (8, 8, 1),
        {
            "patch_size": 2,
            "num_layers": 3,
            "num_heads": 4,
            "hidden_dim": 64,
            "intermediate_dim": 128,
            "stochastic_depth": 0.1,
        },
        parameters=102_858,
        recipe={
            **_RECIPE,
            "epochs": 150,
            "average_decay": 0.99,
            "crop_padding": 1,
            # Of 143 pictures several epochs have all right.
            "validation_metric": "loss",
        },
        expected_score="accuracy 0.9816, the mean of five test folds",
    ),
    _small_pictures(
        "fashion_mnist",
        (28, 28, 1),
        {
            "patch_size": 4,
            "num_layers": 4,
            "num_heads": 4,
            "hidden_dim": 96,
            "intermediate_dim": 192,
            "attention_dropout": 0.1,
            "stochastic_depth": 0.1,
        },
        parameters=360_970,
        recipe={
            **_RECIPE,
            "epochs": 40,
            "batch_size": 128,
            "learning_rate": 2e-3,
            "warmup_steps": 400,
            "crop_padding": 2,
            "flip": True,
        },
        expected_score="accuracy 0.9311 on the test split",
    ),
    _small_pictures(
        # CCT-4/3x2 of the paper.
        "cifar10",
        (32, 32, 3),
        {
            "patch_size": 4,
            "num_layers": 4,
            "num_heads": 2,
            "hidden_dim": 128,
            "intermediate_dim": 128,
            "attention_dropout": 0.1,
            "stochastic_depth": 0.1,
        },
        parameters=483_658,
        recipe={
            **_RECIPE,
            "epochs": 100,
            "batch_size": 128,
            "crop_padding": 4,
            "flip": True,
            "rand_augment": 2,
            "random_erasing": 0.25,
        },
    ),
)

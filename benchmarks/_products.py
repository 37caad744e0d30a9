"""The matrix products of attention and of a Vision Transformer, counted.

One product of (rows, inner) and (inner, columns) is 2 rows inner columns
floating-point operations (FLOPs). Whatever is no matrix product (softmax,
norms, activations, the optimizer) is not counted: the same for all, and what
a processor could do meanwhile.
"""

import typing


class Product(typing.NamedTuple):
    """Products of the same sizes.

    Attributes:
        name: What they are for.
        count: How often the model has them, each with weights of its own.
        batch_size: How many pairs of matrices one of them multiplies.
        rows, inner, columns: Sizes of the matrices.
    """

    name: str
    count: int
    batch_size: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self):
        """FLOPs of all of them."""
        pairs = self.count * self.batch_size
        return 2 * pairs * self.rows * self.inner * self.columns


# What of an architecture counts, by the names of `zoo.vision_transformer`.
VISION_SIZES = (
    "patch_size",
    "num_layers",
    "num_heads",
    "hidden_dim",
    "intermediate_dim",
)
# Of these a causal mask leaves half.
PAIRWISE = ("scores", "context")
# The inputs of this one are pictures, which need no gradient.
FIRST = "patches"


def attention_products(
    batch_size, length, num_heads, key_dim, hidden_dim=None, count=1
):
    """The products of `count` layers of multi-head self-attention.

    Args:
        batch_size, length: Of the states, B and T.
        num_heads, key_dim: Heads, N, and their width, H.
        hidden_dim: Width of the states, D; N H by default.
        count: Number of layers.

    Returns:
        A list of `Product`: queries, keys and values B T x D x N H, scores
        B N times T x H x T, contexts B N times T x T x H, and outputs
        B T x N H x D.
    """
    width = num_heads * key_dim
    hidden_dim = hidden_dim or width
    tokens, heads = batch_size * length, batch_size * num_heads
    return [
        Product("projections", 3 * count, 1, tokens, hidden_dim, width),
        Product("scores", count, heads, length, key_dim, length),
        Product("context", count, heads, length, length, key_dim),
        Product("outputs", count, 1, tokens, width, hidden_dim),
    ]


def vision_products(
    batch_size,
    image_size,
    num_classes,
    *,
    patch_size,
    num_layers,
    num_heads,
    hidden_dim,
    intermediate_dim,
    channels=3,
):
    """The products of a Vision Transformer with a class token, forward.

    Args:
        batch_size, image_size: Pictures, and their side in pixels.
        num_classes: Number of classes of the head.
        patch_size, num_layers, num_heads, hidden_dim, intermediate_dim:
            As in `zoo.vision_transformer`.
        channels: Channels of the pictures.

    Returns:
        A list of `Product`.
    """
    patches = (image_size // patch_size) ** 2
    length = patches + 1
    tokens = batch_size * length
    pixels = channels * patch_size**2
    attention = attention_products(
        batch_size,
        length,
        num_heads,
        hidden_dim // num_heads,
        hidden_dim,
        count=num_layers,
    )
    return [
        Product(FIRST, 1, 1, batch_size * patches, pixels, hidden_dim),
        *attention,
        Product("hidden", num_layers, 1, tokens, hidden_dim, intermediate_dim),
        Product("narrow", num_layers, 1, tokens, intermediate_dim, hidden_dim),
        Product("head", 1, 1, batch_size, hidden_dim, num_classes),
    ]


def forward_flops(products, causal=False):
    """FLOPs of a forward pass; of scores under a causal mask half count."""
    return sum(
        product.flops / (2 if causal and product.name in PAIRWISE else 1)
        for product in products
    )


def training_flops(products, causal=False):
    """FLOPs forward and backward: three times those of the forward pass.

    Each product has two in its gradient, one for either factor; that of the
    pictures has one. What is computed again for a gradient is not counted.
    """
    first = [product for product in products if product.name == FIRST]
    return 3 * forward_flops(products, causal) - forward_flops(first)

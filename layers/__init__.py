"""Attention layers for Keras 3. They use `keras.ops` only, so they run on
TensorFlow, JAX and torch.

Axes: B batch, N heads, T query length, S key length, D model width.
"""

from layers.additive_attention import AdditiveAttention
from layers.attention_decoder import AttentionDecoder
from layers.dot_product_attention import DotProductAttention
from layers.dropout import Dropout
from layers.recording import record_attention
from layers.recurrent_cell import RecurrentCell

__all__ = [
    "AdditiveAttention",
    "AttentionDecoder",
    "DotProductAttention",
    "Dropout",
    "RecurrentCell",
    "record_attention",
]

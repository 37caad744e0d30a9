"""Attention layers for Keras 3, and what a Transformer needs beside them.
They use `keras.ops` only, so they run on TensorFlow, JAX and torch.

Axes: B batch, N heads, T query length, S key length, D model width.
"""

from layers.additive_attention import AdditiveAttention
from layers.attention_decoder import AttentionDecoder
from layers.attention_pooling import AttentionPooling
from layers.class_token import ClassToken
from layers.concat_attention import ConcatAttention
from layers.convolutional_tokenizer import ConvolutionalTokenizer
from layers.decoder_block import DecoderBlock
from layers.dot_product_attention import DotProductAttention
from layers.dropout import Dropout
from layers.encoder_block import EncoderBlock
from layers.feed_forward import FeedForward
from layers.local_attention import LocalAttention
from layers.location_attention import LocationAttention
from layers.mixture_of_attention_heads import MixtureOfAttentionHeads
from layers.multi_head_attention import MultiHeadAttention
from layers.multiplicative_attention import MultiplicativeAttention
from layers.patch_embedding import PatchEmbedding
from layers.position_embedding import PositionEmbedding
from layers.position_embedding_2d import PositionEmbedding2D
from layers.recording import record_attention
from layers.recurrent_cell import RecurrentCell
from layers.relative_position_bias import RelativePositionBias
from layers.rollout import attention_rollout
from layers.rollout import rollout_map
from layers.rotary_embedding import RotaryEmbedding
from layers.self_attention_2d import SelfAttention2D
from layers.shifted_patch_embedding import ShiftedPatchEmbedding
from layers.sinusoidal_position_encoding import SinusoidalPositionEncoding
from layers.sinusoidal_position_encoding_2d import SinusoidalPositionEncoding2D
from layers.stochastic_depth import StochasticDepth

__all__ = [
    "AdditiveAttention",
    "AttentionDecoder",
    "AttentionPooling",
    "ClassToken",
    "ConcatAttention",
    "ConvolutionalTokenizer",
    "DecoderBlock",
    "DotProductAttention",
    "Dropout",
    "EncoderBlock",
    "FeedForward",
    "LocalAttention",
    "LocationAttention",
    "MixtureOfAttentionHeads",
    "MultiHeadAttention",
    "MultiplicativeAttention",
    "PatchEmbedding",
    "PositionEmbedding",
    "PositionEmbedding2D",
    "RecurrentCell",
    "RelativePositionBias",
    "RotaryEmbedding",
    "SelfAttention2D",
    "ShiftedPatchEmbedding",
    "SinusoidalPositionEncoding",
    "SinusoidalPositionEncoding2D",
    "StochasticDepth",
    "attention_rollout",
    "record_attention",
    "rollout_map",
]

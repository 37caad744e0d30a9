"""Attention rollout of a classifier, for texts and for pictures."""

import fnmatch
import re

import numpy as np

from layers import attention_rollout
from layers.rollout import summarize_rollout
from summaries.sides import PatchSide

_SELF_ATTENTION = re.compile(r"(?:.*/)?encoder/(\d+)/self")
_POOLING = ("*pooling", "*pooling_[0-9]*")


def encoder_layers(scores):
    """The self-attention layers of an encoder classifier, lowest first.

    Args:
        scores: `{layer: scores}` of all layers of the model.

    Returns:
        Their names, `encoder/0/self` and so on. None if there are other
        layers, a pooling aside, or their sequences are of several lengths:
        then there is no rollout.
    """
    numbers, shapes = {}, set()
    for layer, values in scores.items():
        match = _SELF_ATTENTION.fullmatch(layer)
        if match:
            numbers[layer] = int(match[1])
            shapes.add(tuple(values.shape[2:]))
        elif not _is_pooling(layer):
            return None
    layers = sorted(numbers, key=numbers.get)
    whole = [numbers[layer] for layer in layers] == list(range(len(layers)))
    if not layers or not whole or len(shapes) > 1:
        return None
    return layers


def classifier_rollout(scores, side, class_token=False):
    """How much the summary of an encoder classifier holds of each token.

    The summary is the weighted sum of its pooling, if the scores have one;
    else the class token, or the mean of the real tokens.

    Args:
        scores: `{layer: scores}` of all layers of the model.
        side: The `Side` or `PatchSide` of the tokens.
        class_token: Whether the first token stands for the class. That of
            patches does, where there are tokens in front of them.

    Returns:
        `(batch_size, length)`, float; None for a model that is no encoder
        classifier, see `encoder_layers`.

    Reference:
        See `layers.attention_rollout`.
    """
    layers = encoder_layers(scores)
    if layers is None:
        return None
    held = attention_rollout([scores[layer] for layer in layers])
    poolings = [layer for layer in scores if _is_pooling(layer)]
    if isinstance(side, PatchSide):
        class_token = class_token or side.num_prefix_tokens > 0
    weights = None
    if len(poolings) == 1:
        # (B, N, Q, K) -> (B, K)
        weights = np.asarray(scores[poolings[0]]).mean(axis=(1, 2))
    elif not class_token:
        weights = side.mask_of(*held.shape[:2], layers[0]).astype("float32")
        weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1)
    return np.asarray(summarize_rollout(held, weights, class_token))


def _is_pooling(layer):
    return any(fnmatch.fnmatchcase(layer, pattern) for pattern in _POOLING)

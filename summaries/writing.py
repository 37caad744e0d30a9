"""Writes attention as TensorBoard shows it."""

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import summary_pb2

from summaries.diagnostics import diagnose
from summaries.maps import attention_map
from summaries.patch_maps import patch_map
from summaries.patch_maps import rollout_picture
from summaries.score_index import write_scores
from summaries.sides import PatchSide
from summaries.sides import PooledSide
from summaries.sides import Side
from summaries.token_strips import token_strip


def write_attention(
    writer,
    scores,
    tokens,
    step,
    *,
    log_dir=None,
    max_images=4,
    max_samples=4,
    rollout=None,
    alignments=None,
):
    """Write the attention of one step: scalars, maps, and the scores.

    Tags are `attention/entropy/<layer>`, `attention/max_weight/<layer>`,
    `attention/padding_leak/<layer>`, for more than one head
    `attention/head_redundancy/<layer>` (see `summaries.diagnostics`), and
    the images `attention/maps/<layer>`, one for each sample: where patches
    are looked at, the weights over the picture (see `patch_map`), else a heat
    map with the tokens on its axes. The scores themselves, for the Attention
    tab, are in a file beside the events (see `summaries.score_files`), whose
    name is under `attention/scores/<layer>`; at most 32 MB a step, before it
    is packed, or one sample.

    Args:
        writer: As of `tf.summary.create_file_writer(log_dir)`. What
            is written is on disk when this returns.
        scores: `{layer: scores}`, as `layers.record_attention` gives it, or
            the scores of one layer, which is then called `scores`. Shape
            `(batch_size, num_heads, query_length, key_length)`.
        tokens: `(queries, keys)`: each a `Side`, a `PatchSide`, for the
            queries of a pooling a `PooledSide`, or a list of strings for each
            sample. A function of the layer's name that gives such a pair
            where the layers differ.
        step: Number of the step.
        log_dir: The folder that the writer writes into, which it does not
            tell. Without it there is nothing for the Attention tab.
        max_images: How many samples get a map, from the first on.
        max_samples: How many samples the Attention tab has, likewise; 0 for
            none.
        rollout: How much the summary of an encoder holds of each token,
            `(batch_size, length)`, and the side of these tokens, for the
            tab; or None.
        alignments: For each sample the gold alignment of its tokens, pairs
            `(query, key)` counted from 0, for the tab; or None.

    Raises:
        ValueError: If scores and tokens do not fit.

    Example:

    >>> writer = tf.summary.create_file_writer("runs/mine")
    >>> with layers.record_attention() as scores:
    ...     model(inputs)
    >>> tokens = target_tokens, source_tokens
    >>> write_attention(writer, scores, tokens, 0, log_dir="runs/mine")
    """
    if not isinstance(scores, dict):
        scores = {"scores": scores}
    scores = {layer: np.asarray(values) for layer, values in scores.items()}

    sides = {
        layer: tuple(
            map(_as_side, tokens(layer) if callable(tokens) else tokens)
        )
        for layer in scores
    }
    for layer, values in scores.items():
        _write_layer(writer, layer, values, *sides[layer], step, max_images)
    if not max_samples or not scores or log_dir is None:
        return
    path = write_scores(
        log_dir,
        scores,
        sides.__getitem__,
        step,
        max_samples=max_samples,
        rollout=rollout,
        alignments=alignments,
    )
    metadata = summary_pb2.SummaryMetadata()
    metadata.plugin_data.plugin_name = "attention"
    with writer.as_default(step):
        for layer in scores:
            tf.summary.write(
                f"attention/scores/{layer}", path.name, metadata=metadata
            )


def write_rollout(writer, rollout, side, step, *, max_images=4):
    """Write attention rollout, as the images `attention/rollout`.

    Of pictures it lies over the picture, of texts it colours the tokens.

    Args:
        writer: See `write_attention`.
        rollout: How much the model's summary holds of each token,
            `(batch_size, length)`, as `classifier_rollout` gives it. Of
            patches also `(batch_size, rows, columns)`, as `rollout_map`
            gives it.
        side: The `Side` or `PatchSide` of the tokens, or a list of strings
            for each sample.
        step: Number of the step.
        max_images: How many samples get a drawing, from the first on.

    Raises:
        ValueError: If rollout and side do not fit.
    """
    rollout, side = np.asarray(rollout), _as_side(side)
    if isinstance(side, PatchSide):
        maps = _rollout_on_grid(rollout, side)
        drawings = [
            rollout_picture(*sample)
            for sample in zip(maps[:max_images], side.images)
        ]
    else:
        if rollout.ndim != 2:
            raise ValueError(
                "The rollout of tokens must have the shape (batch_size, "
                f"length). Received: rollout.shape={rollout.shape}"
            )
        side.mask_of(*rollout.shape, "rollout")
        drawings = [
            token_strip(weights, side.labels_of(sample, len(weights)))
            for sample, weights in enumerate(rollout[:max_images])
        ]
    with writer.as_default(step):
        _write_images("attention/rollout", drawings)


def _rollout_on_grid(rollout, side):
    """`(batch_size, rows, columns)`, without the tokens in front."""
    shape = (len(side.images), *side.grid_shape)
    if rollout.shape == (len(side.images), side.length):
        rollout = rollout[:, side.num_prefix_tokens :].reshape(shape)
    if rollout.shape != shape:
        raise ValueError(
            f"The rollout of these patches must have the shape {shape}, or "
            f"{(len(side.images), side.length)} with the tokens in front. "
            f"Received: rollout.shape={rollout.shape}"
        )
    return rollout


def _as_side(tokens):
    if isinstance(tokens, Side | PatchSide | PooledSide):
        return tokens
    return Side(tokens)


def _write_layer(writer, layer, scores, query, key, step, max_images):
    if scores.ndim != 4:
        raise ValueError(
            "Scores must have the shape (batch_size, num_heads, "
            f"query_length, key_length). Received: layer={layer!r}, "
            f"scores.shape={scores.shape}"
        )
    batch_size, _, query_length, key_length = scores.shape
    values = diagnose(
        scores,
        query.mask_of(batch_size, query_length, layer),
        key.mask_of(batch_size, key_length, layer),
    )
    maps = [
        _draw(sample, values_, query, key)
        for sample, values_ in enumerate(scores[:max_images])
    ]
    with writer.as_default(step):  # flushes at its end
        for name, value in values.items():
            tf.summary.scalar(f"attention/{name}/{layer}", value)
        _write_images(f"attention/maps/{layer}", maps)


def _draw(sample, scores, query, key):
    """The map of one sample, scores `(num_heads, query_length, key_length)`."""
    queries = query.labels_of(sample, scores.shape[1])
    keys = key.labels_of(sample, scores.shape[2])
    rows = query.places_of(sample, scores.shape[1])
    columns = key.places_of(sample, scores.shape[2])
    # Of no tokens the first row is drawn.
    scores = scores[:, rows if len(rows) else [0]]
    if not isinstance(key, PatchSide):
        columns = columns if len(columns) else [0]
        return attention_map(scores[:, :, columns], queries, keys)
    if query is not key:
        # Other queries have no class token among them, but maybe padding.
        scores = scores.mean(axis=1, keepdims=True)
    return patch_map(
        scores, key.images[sample], key.grid_shape, key.num_prefix_tokens
    )


def _write_images(tag, drawings):
    if drawings:
        tf.summary.image(tag, _of_one_size(drawings), max_outputs=len(drawings))


def _of_one_size(pictures):
    """Stack pictures `(height, width, 3)`, with white around the smaller."""
    height, width, _ = np.max([picture.shape for picture in pictures], axis=0)
    stack = np.full((len(pictures), height, width, 3), 255, "uint8")
    for canvas, picture in zip(stack, pictures):
        canvas[: picture.shape[0], : picture.shape[1]] = picture
    return stack

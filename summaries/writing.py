"""Writes attention as TensorBoard shows it."""

import numpy as np
import tensorflow as tf

from summaries.diagnostics import diagnose
from summaries.maps import attention_map
from summaries.samples import Side


def write_attention(writer, scores, tokens, step, *, max_images=4):
    """Write the attention of one step: scalars and maps.

    Tags are `attention/entropy/<layer>`, `attention/max_weight/<layer>`,
    `attention/padding_leak/<layer>`, for more than one head
    `attention/head_redundancy/<layer>` (see `summaries.diagnostics`), and
    the images `attention/maps/<layer>`, one for each sample.

    Args:
        writer: As of `tf.summary.create_file_writer(log_dir)`. What
            is written is on disk when this returns.
        scores: `{layer: scores}`, as `layers.record_attention` gives it, or
            the scores of one layer, which is then called `scores`. Shape
            `(batch_size, num_heads, query_length, key_length)`.
        tokens: `(query tokens, key tokens)`: each a `Side`, or a list of
            strings for each sample. A function of the layer's name that
            gives such a pair where the layers differ.
        step: Number of the step.
        max_images: How many samples get a map, from the first on.

    Raises:
        ValueError: If scores and tokens do not fit.

    Example:

    >>> writer = tf.summary.create_file_writer("runs/mine")
    >>> with layers.record_attention() as scores:
    ...     model(inputs)
    >>> write_attention(writer, scores, (target_tokens, source_tokens), 0)
    """
    if not isinstance(scores, dict):
        scores = {"scores": scores}
    for layer, values in scores.items():
        query, key = tokens(layer) if callable(tokens) else tokens
        _write_layer(
            writer,
            layer,
            np.asarray(values),
            query if isinstance(query, Side) else Side(query),
            key if isinstance(key, Side) else Side(key),
            step,
            max_images,
        )


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
        attention_map(*sample)
        for sample in zip(
            scores[:max_images],
            query.tokens[:max_images],
            key.tokens[:max_images],
        )
    ]
    with writer.as_default(step):  # flushes at its end
        for name, value in values.items():
            tf.summary.scalar(f"attention/{name}/{layer}", value)
        if maps:
            tf.summary.image(
                f"attention/maps/{layer}",
                _of_one_size(maps),
                max_outputs=len(maps),
            )


def _of_one_size(pictures):
    """Stack pictures `(height, width, 3)`, with white around the smaller."""
    height, width, _ = np.max([picture.shape for picture in pictures], axis=0)
    stack = np.full((len(pictures), height, width, 3), 255, "uint8")
    for canvas, picture in zip(stack, pictures):
        canvas[: picture.shape[0], : picture.shape[1]] = picture
    return stack

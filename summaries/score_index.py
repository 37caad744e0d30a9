"""What the Attention tab is told about scores: layers, sides, diagnostics."""

import numpy as np
import tensorflow as tf

from summaries import diagnostics
from summaries.score_files import MOST_BYTES
from summaries.score_files import picture_name
from summaries.score_files import samples_that_fit
from summaries.score_files import write_step
from summaries.sides import PatchSide
from summaries.sides import PooledSide

# Most rows and columns of a small map.
THUMBNAIL_SIZE = 64

# See `kind_of`.
UNIFORM, SAME_KEY, DIAGONAL = 0.98, 0.9, 0.7

_DIAGNOSTICS = ("entropy", "max_weight", "padding_leak", "head_redundancy")


def write_scores(
    log_dir,
    scores,
    sides_of,
    step,
    *,
    max_samples=4,
    rollout=None,
    alignments=None,
    most_bytes=MOST_BYTES,
):
    """Write the scores of one step for the Attention tab.

    Args:
        log_dir: Folder of the event files.
        scores: `{layer: (batch_size, num_heads, query_length, key_length)}`.
        sides_of: A function of a layer's name that gives its query side and
            its key side: `Side`, `PatchSide` or `PooledSide`.
        step: Number of the step.
        max_samples: How many samples are kept, from the first on.
        rollout: How much the summary of an encoder holds of each token,
            `(batch_size, length)`, and the side of these tokens; or None.
        alignments: For each sample the gold alignment of its tokens, pairs
            `(query, key)` counted from 0; or None.
        most_bytes: Most bytes of the scores; of more samples than fit only
            the first are kept, one in any case.

    Returns:
        The path of the file.
    """
    sides = _Sides()
    layers, arrays = [], {}
    batch_size = min(len(values) for values in scores.values())
    layer_bytes = sum(4 * values[0].size for values in scores.values())
    count = samples_that_fit(
        layer_bytes, min(max_samples, batch_size), most_bytes
    )
    kinds = [[] for _ in range(count)]
    for number, (name, values) in enumerate(scores.items()):
        query, key = sides_of(name)
        layers.append(
            {
                "name": name,
                "num_heads": values.shape[1],
                "query": sides.number_of(query, values.shape[2]),
                "key": sides.number_of(key, values.shape[3]),
                "diagnostics": _by_head(values, query, key, name),
            }
        )
        for sample in range(count):
            kept = real_scores(values, query, key, sample)
            kinds[sample].append([kind_of(head) for head in kept])
            arrays[f"scores/{sample}/{number}"] = kept.astype("float32")
            arrays[f"thumbnails/{sample}/{number}"] = _thumbnails(kept)
    index = {"layers": layers}
    if rollout is not None:
        weights, side = rollout
        index["rollout"] = sides.number_of(side, weights.shape[1])
        for sample in range(count):
            kept = weights[sample][side.places_of(sample, weights.shape[1])]
            arrays[f"rollout/{sample}"] = kept.astype("float32")
    index["samples"] = [
        {**sides.describe(sample), "kinds": kinds[sample]}
        for sample in range(count)
    ]
    if alignments is not None:
        for sample, links in zip(index["samples"], alignments):
            sample["alignment"] = [list(map(int, link)) for link in links]
    return write_step(log_dir, step, index, arrays, sides.pictures)


def real_scores(values, query, key, sample):
    """Scores `(num_heads, rows, columns)` of a sample, without padding."""
    rows = query.places_of(sample, values.shape[2])
    columns = key.places_of(sample, values.shape[3])
    return values[sample][:, rows][:, :, columns]


def kind_of(weights):
    """What a head does that deserves a mark.

    The page says the same of a served answer (`kindOf` in numbers.js).

    Args:
        weights: `(query_length, key_length)`, without padding.

    Returns:
        `NaN`: some weight is no number. `uniform`: all keys alike that may be
        looked at, with an entropy of 98 % of the greatest. `one token`: nine
        of ten queries look at the same key most. `diagonal`: seven of ten
        look at their own place most, or beside it where there are 8 keys or
        more. Else an empty string; also below 4 queries or keys.
    """
    if not np.isfinite(weights).all():
        return "NaN"
    weights = weights.astype("float64")
    counted = np.flatnonzero((weights > 0).sum(axis=1) > 1)
    entropies = []
    for row in weights[counted]:
        shares = row[row > 0] / row.sum()
        entropies.append(-(shares * np.log(shares)).sum() / np.log(len(shares)))
    if len(entropies) and np.mean(entropies) > UNIFORM:
        return "uniform"
    looks = np.flatnonzero(weights.max(axis=1, initial=0) > 0)
    rows, columns = weights.shape
    if len(looks) < 4 or columns < 4:
        return ""
    best = weights[looks].argmax(axis=1)
    if np.bincount(best).max() > SAME_KEY * len(looks):
        return "one token"
    place = looks * (columns - 1) / (rows - 1)
    near = np.abs(best - place) <= (1 if columns >= 8 else 0.5)
    return "diagonal" if near.mean() > DIAGONAL else ""


class _Sides:
    """Each side once, by number."""

    def __init__(self):
        self._sides = []
        self.pictures = {}

    def number_of(self, side, length):
        for number, (known, known_length) in enumerate(self._sides):
            if known is side and known_length == length:
                return number
        self._sides.append((side, length))
        return len(self._sides) - 1

    def describe(self, sample):
        """The sides of a sample, as JSON has them."""
        return {
            "sides": [
                self._describe(side, length, sample)
                for side, length in self._sides
            ]
        }

    def _describe(self, side, length, sample):
        if isinstance(side, PatchSide):
            png = tf.io.encode_png(side.images[sample]).numpy()
            name = picture_name(png)
            self.pictures[name] = png
            return {
                "kind": "patches",
                "picture": name,
                "grid": list(side.grid_shape),
                "num_prefix_tokens": side.num_prefix_tokens,
            }
        kind = "pooled" if isinstance(side, PooledSide) else "tokens"
        return {"kind": kind, "tokens": side.labels_of(sample, length)}


def _by_head(values, query, key, layer):
    """`{diagnostic: one number a head}`; None where there is none."""
    batch_size, _, query_length, key_length = values.shape
    query_mask = query.mask_of(batch_size, query_length, layer)
    key_mask = key.mask_of(batch_size, key_length, layer)
    masks = {"padding_leak": (query_mask, key_mask)}
    found = {}
    for name in _DIAGNOSTICS:
        measure = getattr(diagnostics, name)
        numbers = measure(values, *masks.get(name, (query_mask,)))
        found[name] = [
            float(number) if np.isfinite(number) else None for number in numbers
        ]
    return found


def _thumbnails(scores):
    """Small maps `(num_heads, rows, columns)`, uint8, of all heads.

    A pixel is the greatest weight of those that it stands for, so that one
    strong weight among many is seen. Its square root is kept, for the same
    reason; 255 is a weight of 1.
    """
    small = scores
    for axis in (1, 2):
        length = small.shape[axis]
        if length > THUMBNAIL_SIZE:
            edges = np.arange(THUMBNAIL_SIZE) * length // THUMBNAIL_SIZE
            small = np.fmax.reduceat(small, edges, axis=axis)
    small = np.sqrt(np.clip(np.nan_to_num(small), 0, 1))
    return np.round(255 * small).astype("uint8")

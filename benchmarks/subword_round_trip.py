"""How many held-out lines come back from subwords as they were.

    python -m benchmarks.subword_round_trip [--data_dir DIR] [DATASET ...]

For each data set the subwords are learned from its training lines; a line of
the test split comes back if `detokenize(tokenize(x)) == normalize(x)`.
"""

import argparse

import numpy as np
import tensorflow as tf

import datasets
from preprocessing import SubwordTokenizer
from training.translation import read_pairs

_SETS = ("phrases", "multi30k_en_fr", "multi30k_en_de", "tatoeba_en_fr")


def round_trip(train, held_out, vocabulary_size=8000, lowercase=False):
    """Share of the held-out lines that come back, 0 to 1."""
    tokenizer = SubwordTokenizer.train(train, vocabulary_size, lowercase)
    text = tf.constant(held_out)
    back = tokenizer.detokenize(tokenizer.tokenize(text))
    return float(np.mean(back.numpy() == tokenizer.normalize(text).numpy()))


def main():
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=_SETS)
    parser.add_argument("--data_dir", help="Where the public data sets lie.")
    arguments = parser.parse_args()
    print("| data set | side | lines | come back |\n|---|---|---:|---:|")
    for name in arguments.datasets:
        loaded = datasets.load(name, data_dir=arguments.data_dir)
        train, test = (read_pairs(loaded.splits[s]) for s in ("train", "test"))
        for side in ("sources", "targets"):
            lines = getattr(test, side)
            share = round_trip(getattr(train, side), lines)
            print(f"| {name} | {side} | {len(lines):,} | {share:.2%} |")


if __name__ == "__main__":
    main()

"""Scores of a translator on sentence pairs."""

import functools
import time

import numpy as np
import tensorflow as tf

import zoo
from layers import record_attention
from preprocessing import alignment
from preprocessing.pair_batches import PairBatches
from training import metrics
from training.alignment import AttentionLinks
from training.alignment import cross_attention
from training.alignment import heads_of
from training.translation import Pairs
from training.translation import tokenize_pairs
from training.tsv_file import TRANSLATION_COLUMNS
from training.tsv_file import write_tsv
from zoo._translator import longest_translation


class TranslationEvaluator:
    """Translates the sentences of a split and compares.

    Args:
        model: A translator of the zoo.
        preprocessor: Its `TranslationPreprocessor`.
        pairs: The `Pairs` of the split.
        target_language: For the tokenisation of BLEU as the papers compute
            it; "" leaves that score out.
        tokens_per_batch: Most tokens of a batch, padding included.
        decoding: `zoo.Decoding`, how to search; greedy by default.
        alignment_head: Name of the head whose attention is read as an
            alignment, as `heads_of` gives it; by default the best, as is
            right on validation data only.
    """

    def __init__(
        self,
        model,
        preprocessor,
        pairs,
        target_language="",
        tokens_per_batch=4096,
        decoding=None,
        alignment_head=None,
    ):
        self.model = model
        self.preprocessor = preprocessor
        self.pairs = pairs
        self.target_language = target_language
        tokenized, lengths = tokenize_pairs(preprocessor, pairs)
        self.num_truncated = int(
            (lengths[:, 0] > preprocessor.max_sequence_length).sum()
        )
        self.batches = PairBatches(tokenized, tokens_per_batch)
        self.alignment_head = alignment_head
        self.translations = None  # of the last `evaluate`, with their scores
        self.tokens_per_second = None  # likewise
        self.errors = {}  # of the last `evaluate`: by head, of the alignment
        self.decoding = decoding or zoo.Decoding()
        self._translate = tf.function(
            functools.partial(model.translate, decoding=self.decoding),
            autograph=False,
            reduce_retracing=True,
        )
        self._compare = tf.function(
            self._compare_batch, autograph=False, reduce_retracing=True
        )

    def evaluate(self):
        """All scores of the split.

        Returns:
            A dictionary: `loss` (cross-entropy a token, in nats),
            `token_accuracy`, those of `metrics.text_scores`, where gold
            alignments are known `alignment_error_rate` and, of several
            heads, `alignment_head`, and where it is known which pairs hold
            values that training never saw `exact_match_novel`.
        """
        scores, links = self.teacher_forced()
        started = time.perf_counter()
        *self.translations, num_tokens = self.translate()
        self.tokens_per_second = num_tokens / (time.perf_counter() - started)
        translations, _ = self.translations
        lowercase = self.preprocessor.source_tokenizer.lowercase
        scores |= metrics.text_scores(
            translations, self.pairs.targets, lowercase=lowercase
        )
        if links:
            scores |= self._alignment_scores(links)
        if self.pairs.novel is not None and self.pairs.novel.any():
            matches = metrics.exact_matches(
                translations, self.pairs.targets, lowercase
            )
            scores["exact_match_novel"] = float(
                matches[self.pairs.novel].mean()
            )
        return scores

    def _alignment_scores(self, links):
        gold = self.gold()
        self.errors = {
            head: metrics.alignment_error_rate(
                rows, gold, without_unaligned=True
            )
            for head, rows in links.items()
        }
        best = min(self.errors, key=self.errors.get)
        head = self.alignment_head or best
        scores = {"alignment_error_rate": self.errors[head]}
        return scores | ({"alignment_head": head} if len(links) > 1 else {})

    def details(self):
        """What says more, after `evaluate`.

        Returns:
            A dictionary: `tokens_per_second` of the translations; where the
            target language is known BLEU on Moses tokens, as the papers
            compute it, `bleu_tokenized`, and that by the length of the
            source, `by_source_length`; of several heads the
            `alignment_error_rates`; and where there are any the number of
            `truncated_sources`, whose end the model does not see.
        """
        found = {"tokens_per_second": self.tokens_per_second}
        if self.num_truncated:
            found["truncated_sources"] = self.num_truncated
        if self.target_language:
            translations, _ = self.translations
            found["bleu_tokenized"] = metrics.tokenized_bleu(
                translations, self.pairs.targets, self.target_language
            )
            found["by_source_length"] = by_source_length(
                self.pairs, translations, self.target_language
            )
        if len(self.errors) > 1:
            found["alignment_error_rates"] = self.errors
        return found

    def draw(self, directory):
        """There is nothing to draw."""

    def write(self, path):
        """Write rows of source, translation and log-probability, by tabs,
        after `evaluate`."""
        write_tsv(
            path,
            TRANSLATION_COLUMNS,
            (
                (source, translation, f"{score:.6f}")
                for source, translation, score in zip(
                    self.pairs.sources, *self.translations
                )
            ),
        )

    def translate(self):
        """Translate all source sentences.

        Returns:
            The list of the translations, their log-probabilities, and the
            number of their tokens, END included.
        """
        num_tokens = 0
        texts = np.empty(len(self.pairs), object)
        scores = np.empty(len(self.pairs), np.float32)
        for rows, inputs, _ in self.batches.with_rows():
            tokens, score = self._translate(
                inputs["source"],
                uniforms=self._uniforms(rows, inputs["source"].shape),
            )
            decoded = self.preprocessor.decode_target(tokens).numpy()
            count = len(rows)
            num_tokens += np.count_nonzero(tokens[:count])
            texts[rows] = [text.decode() for text in decoded[:count]]
            scores[rows] = score.numpy()[:count]
        return texts.tolist(), scores, num_tokens

    def _uniforms(self, rows, source_shape):
        """What is drawn with for some sentences: of each its own numbers,
        whatever batch it is in."""
        if self.decoding.decoder != "sample":
            return None
        batch_size, source_length = source_shape
        max_length = longest_translation(source_length)
        max_length += self.decoding.min_length
        uniforms = np.zeros((batch_size, max_length), np.float32)
        for place, row in enumerate(rows):
            generator = np.random.default_rng([self.decoding.seed, int(row)])
            uniforms[place] = generator.random(max_length, np.float32)
        return tf.constant(uniforms)

    def teacher_forced(self):
        """Scores of the next token given the reference before it.

        Returns:
            A dictionary of `loss` and `token_accuracy`, and for each head the
            links of each pair that its attention gives; nothing without
            gold.
        """
        aligned = self.pairs.alignments is not None
        heads = heads_of(self.model) if aligned else []
        links = {head: [None] * len(self.pairs) for head in heads}
        sums = np.zeros(3)
        for rows, inputs, target in self.batches.with_rows():
            batch_sums, scores = self._compare(inputs, target)
            sums += batch_sums.numpy()
            for place, head in enumerate(heads):
                matrices = scores[:, place].numpy()
                for row, matrix in zip(rows, matrices):
                    links[head][row] = self._links.of(row, matrix)
        scores = {
            "loss": float(sums[0] / sums[2]),
            "token_accuracy": float(sums[1] / sums[2]),
        }
        return scores, links

    def gold(self):
        """The gold links of all pairs: (sure, possible) for each."""
        return [
            alignment.gold_links(*row)
            for row in zip(
                self.pairs.alignments, self.pairs.sources, self.pairs.targets
            )
        ]

    def _compare_batch(self, inputs, target):
        with record_attention() as recorded:
            logits = self.model(inputs, training=False)
        real = tf.cast(tf.not_equal(target, 0), tf.float32)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
        best = tf.argmax(logits, axis=-1, output_type=target.dtype)
        right = tf.cast(tf.equal(best, target), tf.float32)
        sums = [tf.reduce_sum(x * real) for x in (loss, right, real)]
        return tf.stack(sums), cross_attention(recorded)

    @functools.cached_property
    def _links(self):
        return AttentionLinks(self.preprocessor, self.pairs)


def by_source_length(pairs, translations, target_language, bins=4):
    """BLEU of sentences of about the same source length.

    Args:
        pairs: `Pairs`.
        translations: One string a pair.
        target_language: For the tokenisation.
        bins: Number of bins, each with about as many sentences.

    Returns:
        A list of dictionaries: `words` (the shortest and the longest source
        sentence, in words), `sentences` and `bleu_tokenized`.
    """
    words = np.array([len(source.split()) for source in pairs.sources])
    edges = np.quantile(words, np.linspace(0, 1, bins + 1)[1:-1])
    which = np.searchsorted(edges, words)
    result = []
    for index in range(bins):
        rows = np.flatnonzero(which == index)
        if not len(rows):  # many sentences of one length
            continue
        chosen: Pairs = pairs.select(rows)
        result.append(
            {
                "words": [int(words[rows].min()), int(words[rows].max())],
                "sentences": len(rows),
                "bleu_tokenized": metrics.tokenized_bleu(
                    [translations[row] for row in rows],
                    chosen.targets,
                    target_language,
                ),
            }
        )
    return result

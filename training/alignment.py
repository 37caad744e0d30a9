"""Word alignments from the attention of a translator."""

import inspect
import itertools
import re

import numpy as np
import tensorflow as tf

import datasets
from layers import record_attention
from preprocessing import alignment
from preprocessing.pair_batches import PairBatches
from training import metrics
from training.configuration import ConfigurationError
from training.resume import write_atomically
from training.translation import Pairs
from training.translation import read_pairs
from training.translation import tokenize_pairs

_TOKENS_PER_BATCH = 4096
_GOLD_LINK = re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


def heads_of(model):
    """Names of the heads with which a translator's decoder looks at the
    source, as `decoder/0/cross 3`, layer by layer."""
    ids = tf.zeros((1, 2), tf.int32)
    scores = model.attention_scores({"source": ids, "target": ids})
    return [
        f"{layer} {head}"
        for layer, tensor in scores.items()
        if _is_cross(layer)
        for head in range(tensor.shape[1])
    ]


def cross_attention(recorded):
    """The attention of all those heads, in their order.

    Args:
        recorded: What `record_attention` collected.

    Returns:
        `(B, H, T, S)`, or None if there is none.
    """
    cross = [scores for path, scores in recorded.items() if _is_cross(path)]
    return tf.concat(cross, axis=1) if cross else None


def _is_cross(path):
    return path.endswith("/cross")


class AttentionLinks:
    """The links between the words of sentence pairs that attention gives.

    Args:
        preprocessor: A `TranslationPreprocessor`.
        pairs: `Pairs`.
        spans: Where the words of the sources and of the targets are, a list
            of pairs (start, end) for each text; by default those of
            `word_spans` in the text that the tokens make up.
        shift: Whether a target word looks where it looked when it was read,
            one step after it was written (Chen et al., 2020): then the
            decoder knows what to look for.

    Attributes:
        num_cut: Number of pairs of which the model did not see all.

    Reference:
        [Chen et al., 2020](https://arxiv.org/abs/2004.14837), section 3.2.
    """

    def __init__(self, preprocessor, pairs, spans=(None, None), shift=False):
        # Of a sentence that was cut, END included, the model saw the rest
        # not.
        self.seen = preprocessor.max_sequence_length - 1
        self.shift = shift
        self._overlaps, lengths = zip(
            *(
                _overlaps(preprocessor, *side)
                for side in zip(
                    (
                        preprocessor.source_tokenizer,
                        preprocessor.target_tokenizer,
                    ),
                    (pairs.sources, pairs.targets),
                    spans,
                )
            )
        )
        self.num_cut = int((np.stack(lengths) > self.seen).any(axis=0).sum())

    def of(self, row, scores):
        """Those of a pair.

        Args:
            row: Number of the pair.
            scores: Its attention, `(target_length, source_length)`.

        Returns:
            A set of (source word, target word), one for each target word
            that the model saw.
        """
        source, target = (side[row][: self.seen] for side in self._overlaps)
        first = int(self.shift)
        scores = scores[first : first + len(target), : len(source)]
        return alignment.attention_links(scores, source, target[: len(scores)])


def _overlaps(preprocessor, tokenizer, texts, spans):
    """`token_words` of each text, and their lengths without END."""
    texts = tf.constant(texts, tf.string)
    read = preprocessor.beginning(texts)
    if spans is None:
        normalized = tokenizer.normalize(read).numpy()
        spans = [alignment.word_spans(text.decode()) for text in normalized]
    pieces = tokenizer.pieces(read)
    overlaps = [
        alignment.token_words([piece.decode() for piece in row], words)
        for row, words in zip(pieces.to_list(), spans)
    ]
    return overlaps, preprocessor.lengths(texts, pieces).numpy()


def align(model, preprocessor, pairs, choices, makers):
    """The word alignments of sentence pairs, by attention.

    Args:
        model: A translator.
        preprocessor: Its `TranslationPreprocessor`.
        pairs: `Pairs`.
        choices: Pairs (head, shift): a name that `heads_of` gives, and as in
            `AttentionLinks`.
        makers: The `AttentionLinks` of these pairs, by `shift`.

    Returns:
        For each choice a list of sets of (source word, target word).
    """
    names = heads_of(model)
    tokenized, _ = tokenize_pairs(preprocessor, pairs)

    @tf.function(autograph=False, reduce_retracing=True)
    def look(inputs):
        with record_attention() as recorded:
            model(inputs, training=False)
        return cross_attention(recorded)

    links = {choice: [None] * len(pairs) for choice in choices}
    for rows, inputs, _ in PairBatches(
        tokenized, _TOKENS_PER_BATCH
    ).with_rows():
        scores = look(inputs).numpy()
        for head, shift in choices:
            place = names.index(head)
            for row, matrix in zip(rows, scores[:, place]):
                links[head, shift][row] = makers[shift].of(row, matrix)
    return links


def best_head(model, preprocessor, pairs):
    """The head, and whether to shift, that aligns best.

    Args:
        model, preprocessor: Those of a run.
        pairs: `Pairs` with gold alignments.

    Returns:
        The pair (head, shift), and the alignment error rates by such pairs.
    """
    choices = list(itertools.product(heads_of(model), (False, True)))
    gold = [
        alignment.gold_links(*row)
        for row in zip(pairs.alignments, pairs.sources, pairs.targets)
    ]
    makers = {
        shift: AttentionLinks(preprocessor, pairs, shift=shift)
        for shift in (False, True)
    }
    found = align(model, preprocessor, pairs, choices, makers)
    errors = {
        choice: metrics.alignment_error_rate(
            links, gold, without_unaligned=True
        )
        for choice, links in found.items()
    }
    return min(errors, key=errors.get), errors


class RunAligner:
    """Aligns with the model of a run.

    Args:
        run: A fitted `Run` of a translator.
        head: Name of the head; None is the one that was chosen in the run,
            or the only one.
        shift: As in `AttentionLinks`.

    Raises:
        ConfigurationError: If it is no translator, has no attention, or not
            this head.
    """

    def __init__(self, run, head=None, shift=False):
        self.run = run
        self.model = run.load_model()
        self.preprocessor = run.load_preprocessor()
        if self.model.task != "translation":
            raise ConfigurationError(
                "Only a translator aligns words. "
                f"Received: {type(self.model).__name__} in {run.directory}"
            )
        self.heads = heads_of(self.model)
        if not self.heads:
            raise ConfigurationError(
                "A translator without attention does not align words. "
                f"Received: {run.directory}"
            )
        chosen = run.metrics.get("validation", {}).get("alignment_head")
        if len(self.heads) == 1:
            chosen = self.heads[0]
        self.head, self.shift = head or chosen, shift
        if head is not None and head not in self.heads:
            raise ConfigurationError(
                f"Heads here: {', '.join(self.heads)}. Received: head={head}"
            )

    def choose(self, dataset, data_dir=None):
        """Choose the head on the validation data of a data set that has gold
        alignments, in the languages of the run.

        Returns:
            The alignment error rates, by pairs (head, shift).

        Raises:
            ConfigurationError: If the data have no gold alignments.
        """
        if not self.run.metrics:
            raise ConfigurationError(
                f"{self.run.directory} is not fitted to the end: it has no "
                "metrics.json."
            )
        data = self.run.metrics["data"]
        options = {
            name: data.get(name, "")
            for name in ("source_language", "target_language")
        }
        if "" in options.values():
            raise ConfigurationError(
                "A head is chosen on data in the languages of the run, which "
                "it does not tell: say them when it is fitted "
                "(--data.source_language en). "
                f"Received: {self.run.directory}"
            )
        try:
            known = inspect.signature(datasets.loader(dataset)).parameters
            options = {n: x for n, x in options.items() if n in known}
            loaded = datasets.load(dataset, data_dir=data_dir, **options)
        except datasets.DataError:
            raise
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        pairs = None
        if loaded.task == "translation":
            pairs = read_pairs(loaded.splits["validation"])
        if pairs is None or pairs.alignments is None:
            raise ConfigurationError(
                "A head is chosen on data with gold alignments, as phrases. "
                f"Received: choose_on={dataset}"
            )
        (self.head, self.shift), errors = best_head(
            self.model, self.preprocessor, pairs
        )
        return errors

    def align(self, sources, targets):
        """The links of sentence pairs, whose words stand between blanks.

        Returns:
            A list of sets of (source word, target word), and the number of
            pairs that were too long for the model to see all of them.

        Raises:
            ConfigurationError: If no head was chosen.
        """
        if self.head is None:
            raise ConfigurationError(
                "Say which head aligns, or on what to choose one "
                "(--choose_on phrases). "
                f"Heads here: {', '.join(self.heads)}"
            )
        sources, source_spans = _joined(
            sources, self.preprocessor.source_tokenizer
        )
        targets, target_spans = _joined(
            targets, self.preprocessor.target_tokenizer
        )
        pairs = Pairs(sources, targets)
        links = AttentionLinks(
            self.preprocessor, pairs, (source_spans, target_spans), self.shift
        )
        choice = (self.head, self.shift)
        found = align(
            self.model,
            self.preprocessor,
            pairs,
            [choice],
            {self.shift: links},
        )
        return found[choice], links.num_cut


def words_of(text):
    """The words of a line, which stand between blanks."""
    return re.split("[ \t\r]+", text.strip(" \t\r"))


def _joined(texts, tokenizer):
    """Texts as a tokenizer sees them, with nothing but the words of each
    between blanks, and where these are."""
    rows = tf.ragged.constant(
        [words_of(text) for text in texts],
        tf.string,
        ragged_rank=1,
    )
    # Word by word, as normalisation can change how many characters it has,
    # and put blanks into it.
    normalized = rows.with_flat_values(
        tf.strings.regex_replace(tokenizer.normalize(rows.flat_values), " ", "")
    )
    found = [
        alignment.joined([word.decode() for word in row])
        for row in normalized.to_list()
    ]
    return [text for text, _ in found], [spans for _, spans in found]


def read_lines(path):
    """The lines of a text file.

    Raises:
        DataError: If it can't be read.
    """
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            return file.read().removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise datasets.DataError(f"{path} can't be read: {error}") from error


def read_gold(path, first_word=0):
    """Gold alignments, a line a pair: `i-j` is sure, `ipj` possible.

    Args:
        path: Of the file.
        first_word: Number of the first word of a sentence.

    Returns:
        For each line two sets of (source word, target word), counted from 0:
        the sure links, and all.

    Raises:
        DataError: If a line holds something else; it is named.
    """
    gold = []
    for number, line in enumerate(read_lines(path), start=1):
        sure, possible = set(), set()
        for item in line.split():
            match = _GOLD_LINK.fullmatch(item)
            words = (int(match[1]), int(match[3])) if match else ()
            if not match or min(words) < first_word:
                raise datasets.DataError(
                    f"{path}, line {number}: expected links such as 3-4 or "
                    f"3p4, counted from {first_word}. Received: {item!r:.80}"
                )
            link = tuple(word - first_word for word in words)
            possible.add(link)
            if match[2] == "-":
                sure.add(link)
        gold.append((sure, possible))
    return gold


def pharaoh(links):
    """Links as a line, `i-j` for each, in order."""
    return " ".join(f"{i}-{j}" for i, j in sorted(links))


def write_pharaoh(path, alignments):
    """Write a line for each sentence pair, atomically."""
    text = "".join(f"{pharaoh(links)}\n" for links in alignments)
    write_atomically(path, lambda file: file.write_text(text, "utf-8"))

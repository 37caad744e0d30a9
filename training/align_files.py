"""Word alignments of two files of sentences by the attention of a run."""

import sys

from datasets import DataError
from training import alignment
from training.configuration import ConfigurationError
from training.metrics import alignment_error_rate
from training.run import Run


def align_files(options):
    """Align the lines of two files, and write or print the links.

    Which head was chosen, and how far the links are from the gold ones, goes
    to the standard error.

    Args:
        options: What the command line of `train.py align` gave.

    Raises:
        ConfigurationError: If the run or its head can't be used, or a head
            is both given and to be chosen.
        DataError: If a file can't be read, or the files differ in length.
    """
    if options.choose_on and (options.head or options.shift):
        raise ConfigurationError(
            "--choose_on chooses the head and whether to shift: neither can "
            f"be given with it. Received: head={options.head}, "
            f"shift={options.shift}, choose_on={options.choose_on}"
        )
    texts, gold = _read(options)
    aligner = alignment.RunAligner(
        Run.find(options.run), options.head, options.shift
    )
    if options.choose_on:
        errors = aligner.choose(options.choose_on, options.data_dir)
        for (head, shift), error in sorted(errors.items(), key=lambda x: x[1]):
            print(f"{_name(head, shift):<30} {error:.4f}", file=sys.stderr)
    links, num_cut = aligner.align(*texts)
    if num_cut:
        print(
            f"{num_cut} of {len(links)} pairs are longer than the model reads; "
            "what it did not see has no links.",
            file=sys.stderr,
        )
    if options.output:
        alignment.write_pharaoh(options.output, links)
    else:
        print("\n".join(map(alignment.pharaoh, links)))
    if gold:
        error = alignment_error_rate(links, gold)
        name = _name(aligner.head, aligner.shift)
        print(f"alignment error rate {error:.4f} ({name})", file=sys.stderr)


def _read(options):
    """The lines of both files, and the gold links or None."""
    texts = [
        alignment.read_lines(path) for path in (options.source, options.target)
    ]
    files = {options.source: len(texts[0]), options.target: len(texts[1])}
    gold = None
    if options.gold:
        gold = alignment.read_gold(options.gold, options.gold_first_word)
        files[options.gold] = len(gold)
    if len(set(files.values())) > 1:
        counts = ", ".join(f"{path} {count}" for path, count in files.items())
        raise DataError(f"The files must have as many lines: {counts}")
    if gold:
        _check_gold(options, texts, gold)
    return texts, gold


def _check_gold(options, texts, gold):
    """That all words it names are there, as they are not where they are
    counted from another number."""
    for line, (source, target, (_, links)) in enumerate(
        zip(*texts, gold), start=1
    ):
        lengths = tuple(
            len(alignment.words_of(text)) for text in (source, target)
        )
        for link in links:
            if link[0] >= lengths[0] or link[1] >= lengths[1]:
                first = options.gold_first_word
                raise DataError(
                    f"{options.gold}, line {line}: the words are counted from "
                    f"{first} (--gold_first_word), and the sentences have "
                    f"{lengths[0]} and {lengths[1]} of them. Received: "
                    f"{link[0] + first}-{link[1] + first}"
                )


def _name(head, shift):
    return f"{head}, shifted" if shift else head

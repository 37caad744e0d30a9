"""How good translations are."""

import sacrebleu
import sacremoses
import tensorflow as tf

from preprocessing.normalization import normalize_text


def text_scores(translations, references, lowercase=False):
    """BLEU, chrF and exact match of translations.

    Args:
        translations: List of strings.
        references: List of strings, one for each.
        lowercase: Whether they ignore the case.

    Returns:
        A dictionary: `bleu` and `chrf` (0 to 100), `exact_match` (0 to 1,
        after NFKC and folding of white space), and the signatures
        `bleu_signature` and `chrf_signature` of sacrebleu.
    """
    bleu = sacrebleu.BLEU(lowercase=lowercase)
    chrf = sacrebleu.CHRF(lowercase=lowercase)
    pairs = [list(translations), [list(references)]]
    return {
        "bleu": bleu.corpus_score(*pairs).score,
        "chrf": chrf.corpus_score(*pairs).score,
        "exact_match": exact_match(translations, references, lowercase),
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }


def exact_matches(translations, references, lowercase=False):
    """For each pair whether the normalised strings are equal."""
    left, right = (
        normalize_text(tf.constant(list(texts), tf.string), lowercase).numpy()
        for texts in (translations, references)
    )
    return left == right


def exact_match(translations, references, lowercase=False):
    """Share of the translations that are the reference, 0 to 1."""
    return float(exact_matches(translations, references, lowercase).mean())


def moses_tokens(text, language):
    """Lower-cased, normalised and tokenised as the Multi30k papers do it."""
    normalizer = sacremoses.MosesPunctNormalizer(lang=language)
    tokenizer = sacremoses.MosesTokenizer(lang=language)
    return [
        tokenizer.tokenize(
            normalizer.normalize(line.lower()), return_str=True, escape=True
        )
        for line in text
    ]


def tokenized_bleu(translations, references, language):
    """BLEU on lower-cased, normalised, Moses-tokenised text, 0 to 100."""
    return (
        sacrebleu.BLEU(tokenize="none", force=True)
        .corpus_score(
            moses_tokens(translations, language),
            [moses_tokens(references, language)],
        )
        .score
    )


def alignment_error_rate(links, gold, without_unaligned=False):
    """How far predicted alignments are from the gold ones.

        AER = 1 - (|A and S| + |A and P|) / (|A| + |S|)

    over all sentences together, with A the predicted, S the sure and P the
    possible links.

    Args:
        links: One set of pairs (source word, target word) a sentence.
        gold: One pair (sure, possible) of such sets a sentence.
        without_unaligned: Whether target words that have no possible link
            are left out of A: where the gold alignments say nothing of some
            words, as of separators in `phrases`.

    Returns:
        A number from 0 (best) to 1; NaN if there are no links.

    Reference:
        Och and Ney, 2003, "A Systematic Comparison of Various Statistical
        Alignment Models", equation 26.
    """
    hits = total = 0
    for predicted, (sure, possible) in zip(links, gold, strict=True):
        if without_unaligned:
            aligned = {target for _, target in possible}
            predicted = {link for link in predicted if link[1] in aligned}
        hits += len(predicted & sure) + len(predicted & possible)
        total += len(predicted) + len(sure)
    return 1.0 - hits / total if total else float("nan")

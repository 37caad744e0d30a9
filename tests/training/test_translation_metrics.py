"""The scores of translations, against other code and by hand."""

import math

import numpy as np
import pytest
import sacrebleu

from training.metrics import alignment_error_rate
from training.metrics import exact_match
from training.metrics import exact_matches
from training.metrics import moses_tokens
from training.metrics import text_scores
from training.metrics import tokenized_bleu

_ANSWERS = [
    "Le 5 mars 2021 à midi .",
    "un chat noir dort sur le grand lit",
    "trois semaines plus tard",
]
_REFERENCES = [
    "Le 5 mars 2021, à midi.",
    "Un chat noir dort sur le petit lit",
    "trois jours plus tard",
]


def test_bleu_and_chrf_are_those_of_sacrebleu():
    scores = text_scores(_ANSWERS, _REFERENCES)
    bleu = sacrebleu.corpus_bleu(_ANSWERS, [_REFERENCES])
    chrf = sacrebleu.corpus_chrf(_ANSWERS, [_REFERENCES])
    assert 0 < scores["bleu"] < 100
    assert scores["bleu"] == pytest.approx(bleu.score)
    assert scores["chrf"] == pytest.approx(chrf.score)
    version = sacrebleu.__version__
    assert scores["bleu_signature"] == (
        f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    )
    assert scores["chrf_signature"] == (
        f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"
    )


def test_lowercase_ignores_the_case_and_says_so():
    upper = [text.upper() for text in _REFERENCES]
    assert text_scores(upper, _REFERENCES)["bleu"] < 50
    scores = text_scores(upper, _REFERENCES, lowercase=True)
    assert scores["bleu"] == pytest.approx(100)
    assert scores["chrf"] == pytest.approx(100)
    assert "case:lc" in scores["bleu_signature"]
    assert "case:lc" in scores["chrf_signature"]


def test_exact_match_folds_forms_and_blanks_only():
    answers = ["a  b ", "3\u202f000 €", "ﬁn", "e\u0301", "a", "A", "a.", ""]
    references = ["a b", "3 000 €", "fin", "é", "b", "a", "a", ""]
    expected = [True, True, True, True, False, False, False, True]
    assert exact_matches(answers, references).tolist() == expected
    assert exact_match(answers, references) == 5 / 8
    assert exact_match(answers, references, lowercase=True) == 6 / 8
    assert text_scores(["a b"], ["A b"], lowercase=True)["exact_match"] == 1


def test_moses_tokens_are_lowercase_normalised_and_escaped():
    tokens = moses_tokens(["L'homme “rit” & court, vite."], "fr")
    assert tokens == ["l&apos; homme &quot; rit &quot; &amp; court , vite ."]


def test_tokenized_bleu_by_hand():
    # Tokens: "a b c d ." against "a b c d e ."; precisions 5/5, 3/4, 2/3,
    # 1/2, and a brevity penalty of exp(1 - 6/5).
    expected = 100 * math.exp(-0.2) * (1 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert tokenized_bleu(["A b c d."], ["a b c d e."], "en") == pytest.approx(
        expected
    )


@pytest.mark.parametrize("language", ["en", "fr", "de", "ja", "pt-BR", "xx"])
def test_tokenized_bleu_of_any_language(language):
    lines = ["eins zwei drei vier .", "年 3 月"]
    assert tokenized_bleu(lines, lines, language) == pytest.approx(100)


def test_alignment_error_rate_of_och_and_ney():
    sure = {(0, 0), (1, 1)}
    possible = sure | {(2, 2), (3, 2)}
    predicted = {(0, 0), (2, 2), (1, 3), (3, 1)}
    # |A| = 4, |A and S| = 1, |A and P| = 2, |S| = 2.
    gold = [(sure, possible)]
    rate = alignment_error_rate([predicted], gold)
    assert rate == pytest.approx(1 - (1 + 2) / (4 + 2))
    # Target 3 has no possible link, so that (1, 3) is left out.
    rate = alignment_error_rate([predicted], gold, without_unaligned=True)
    assert rate == pytest.approx(1 - (1 + 2) / (3 + 2))


def test_alignment_error_rate_is_over_all_sentences_together():
    gold = [({(0, 0)}, {(0, 0)}), ({(0, 0), (1, 1)}, {(0, 0), (1, 1)})]
    links = [{(1, 0)}, {(0, 0), (1, 1)}]
    assert alignment_error_rate(links, gold) == pytest.approx(1 - 4 / 6)


def test_alignment_error_rate_from_best_to_worst():
    sure, possible = {(0, 0)}, {(0, 0), (1, 0), (2, 1)}
    gold = [(sure, possible)]
    assert alignment_error_rate([{(0, 0), (2, 1)}], gold) == 0
    assert alignment_error_rate([sure], gold) == 0
    assert alignment_error_rate([{(2, 0), (0, 1)}], gold) == 1
    assert alignment_error_rate([set()], gold) == 1
    assert np.isnan(alignment_error_rate([set()], [(set(), set())]))


def test_alignment_error_rate_needs_a_prediction_for_each():
    with pytest.raises(ValueError, match="longer"):
        alignment_error_rate([], [(set(), set())])

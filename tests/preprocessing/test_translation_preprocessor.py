import pytest
import tensorflow as tf

from preprocessing import TranslationPreprocessor
from preprocessing.special_tokens import END_ID

_SOURCES = ["the cat sat", "a dog ran 12 miles"]
_TARGETS = ["le chat dort", "un chien court 12 milles"]


def _make(**options):
    return TranslationPreprocessor.train(
        _SOURCES, _TARGETS, **{"vocabulary_size": 60, **options}
    )


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_truncation_keeps_end(tokenizer):
    preprocessor = _make(tokenizer=tokenizer, max_sequence_length=4)
    text = tf.constant(["the cat sat " * 50, "", "12"])
    ids = preprocessor.encode_source(text)
    lengths = ids.row_lengths().numpy().tolist()
    assert lengths[:2] == [4, 1]
    assert ids[:, -1:].to_list() == [[END_ID]] * 3
    whole = preprocessor.encode_source(text, cut=False)
    assert whole.row_lengths()[0] > 100
    assert ids[0, :3].numpy().tolist() == whole[0, :3].numpy().tolist()
    pieces = preprocessor.source_pieces(text).numpy()
    assert [sum(map(bool, row)) for row in pieces.tolist()] == lengths
    assert pieces[0, 3] == pieces[1, 0] == b"[END]"


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_a_sentence_of_exactly_the_limit_is_not_cut(tokenizer):
    preprocessor = _make(tokenizer=tokenizer, max_sequence_length=64)
    whole = preprocessor.encode_source(tf.constant(_SOURCES), cut=False)
    preprocessor.max_sequence_length = int(whole.row_lengths()[0])
    assert (
        preprocessor.cut(whole)[0].numpy().tolist() == whole[0].numpy().tolist()
    )


@pytest.mark.parametrize("empty", ["", "  ", "\0", "\u2028"])
@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_empty_text_is_one_token(tokenizer, empty):
    preprocessor = _make(tokenizer=tokenizer)
    ids = preprocessor.encode_source(tf.constant([empty]))
    assert ids.to_list() == [[END_ID]]
    assert preprocessor.source_pieces(tf.constant([empty])).shape == (1, 1)
    assert preprocessor.decode_target(ids).numpy().tolist() == [b""]


def test_unknown_words_are_shown_as_they_are():
    preprocessor = _make()
    pieces = preprocessor.source_pieces(tf.constant(["the zebra"]))
    assert [p.decode() for p in pieces.numpy()[0]] == [
        *("▁the", "▁zebra", "[END]")
    ]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_saved_and_loaded_is_the_same(tokenizer, shared, lowercase, tmp_path):
    preprocessor = _make(
        tokenizer=tokenizer,
        shared_vocabulary=shared,
        lowercase=lowercase,
        max_sequence_length=7,
    )
    preprocessor.save(tmp_path / "deep" / "folder")
    loaded = TranslationPreprocessor.load(tmp_path / "deep" / "folder")
    text = tf.constant([*_SOURCES, *_TARGETS, "THE Été zebra"])
    for side in ("source", "target"):
        encode = f"encode_{side}"
        assert (
            getattr(loaded, encode)(text).to_list()
            == getattr(preprocessor, encode)(text).to_list()
        )
    assert loaded.max_sequence_length == 7
    assert (loaded.source_tokenizer is loaded.target_tokenizer) == shared
    assert loaded.source_tokenizer.lowercase == lowercase


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(ValueError, match="tokenizer=letters"):
        _make(tokenizer="letters")


class _RoundTrip(tf.Module):
    """Text to ids and back, on each side."""

    def __init__(self, preprocessor):
        super().__init__()
        self.preprocessor = preprocessor

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
    def run(self, source, target):
        source = self.preprocessor.source_tokenizer.tokenize(source)
        target = self.preprocessor.target_tokenizer.tokenize(target)
        return (
            self.preprocessor.source_tokenizer.detokenize(source.to_tensor()),
            self.preprocessor.target_tokenizer.detokenize(target.to_tensor()),
        )


@pytest.mark.parametrize("tokenizer", ["word", "subword"])
def test_exported_tokenizers_stay_apart(tokenizer, tmp_path):
    # The runtime shares resources of one name, within an exported graph and
    # between those of one process.
    texts = {"there": (_SOURCES, _TARGETS), "back": (_TARGETS, _SOURCES)}
    for name, sides in texts.items():
        preprocessor = TranslationPreprocessor.train(
            *sides, vocabulary_size=60, tokenizer=tokenizer
        )
        module = _RoundTrip(preprocessor)
        tf.saved_model.save(module, tmp_path / name)
    loaded = {name: tf.saved_model.load(tmp_path / name) for name in texts}
    for name, sides in texts.items():
        answers = loaded[name].run(*map(tf.constant, sides))
        for answer, expected in zip(answers, sides):
            assert [text.decode() for text in answer.numpy()] == expected

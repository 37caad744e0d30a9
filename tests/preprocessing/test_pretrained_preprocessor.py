import json
import pathlib
import shutil

import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf

import preprocessing
from preprocessing import load_pretrained_preprocessor

GOLDEN = pathlib.Path(__file__).parent / "golden"
BERT, VIT = GOLDEN / "bert", GOLDEN / "vit"
CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"
WHOLE, PICTURES = "tokenizer.json", "preprocessor_config.json"
LEFT_OUT = object()


@pytest.fixture(scope="module")
def golden():
    return json.loads((GOLDEN / "word_piece.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def pictures():
    with np.load(GOLDEN / "pictures.npz") as file:
        return dict(file)


@pytest.fixture
def edited(tmp_path):
    """Copies a folder, with other values in one of its files."""

    def edit(folder, name, changes):
        """`changes` are `{field or (field, field inside it): value}`."""
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        path = copy / name
        values = json.loads(path.read_text("utf-8")) if path.exists() else {}
        for fields, value in changes.items():
            *outer, last = fields if isinstance(fields, tuple) else (fields,)
            place = values
            for field in outer:
                place = place[field]
            if value is LEFT_OUT:
                del place[last]
            else:
                place[last] = value
        path.write_text(json.dumps(values), "utf-8")
        return copy

    return edit


def with_vocab_txt(folder, vocabulary):
    text = "".join(f"{token}\n" for token in vocabulary)
    (folder / "vocab.txt").write_text(text, "utf-8")
    return folder


# Texts.


def test_texts_as_transformers_reads_them(golden):
    preprocessor = load_pretrained_preprocessor(BERT)
    assert type(preprocessor) is preprocessing.TextClassificationPreprocessor
    # `model_max_length`, below the 40 positions.
    assert preprocessor.max_sequence_length == 24
    ids = preprocessor.encode(tf.constant(golden["texts"])).to_list()
    assert ids == golden["cut"]
    assert max(map(len, ids)) == 24
    assert preprocessor.vocabulary_size == len(golden["vocabulary"])


def test_only_vocab_txt(golden, edited):
    folder = edited(BERT, TOKENIZER, {"do_lower_case": False})
    (folder / WHOLE).unlink()
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt or tokeni"):
        load_pretrained_preprocessor(folder)
    with_vocab_txt(folder, golden["vocabulary"])
    preprocessor = load_pretrained_preprocessor(folder)
    found = preprocessor.tokenizer.tokenize(tf.constant(golden["texts"]))
    assert found.to_list() == golden["settings"][1]["ids"]
    # Nothing but a vocabulary is lower-cased, as by transformers.
    (folder / TOKENIZER).unlink()
    preprocessor = load_pretrained_preprocessor(folder)
    found = preprocessor.tokenizer.tokenize(tf.constant(golden["texts"]))
    assert found.to_list() == golden["settings"][0]["ids"]
    assert preprocessor.max_sequence_length == 40


@pytest.mark.parametrize("number", range(4))
def test_options_of_tokenizer_json(number, golden, edited):
    settings = golden["settings"][number]
    names = {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    }
    changes = {
        ("normalizer", names[name]): value
        for name, value in settings.items()
        if name != "ids"
    }
    folder = edited(BERT, WHOLE, changes)
    (folder / TOKENIZER).unlink()
    preprocessor = load_pretrained_preprocessor(folder)
    found = preprocessor.tokenizer.tokenize(tf.constant(golden["texts"]))
    assert found.to_list() == settings["ids"]


def test_lengths(edited):
    folder = edited(BERT, "sentence_bert_config.json", {"max_seq_length": 20})
    assert load_pretrained_preprocessor(folder).max_sequence_length == 20
    given = load_pretrained_preprocessor(folder, max_sequence_length=33)
    assert given.max_sequence_length == 33
    with pytest.raises(ValueError, match=r"40 positions.*sequence_length=41$"):
        load_pretrained_preprocessor(folder, max_sequence_length=41)
    # As transformers writes that there is no limit.
    folder = edited(BERT, TOKENIZER, {"model_max_length": int(1e30)})
    (folder / "sentence_bert_config.json").unlink()
    assert load_pretrained_preprocessor(folder).max_sequence_length == 40


def test_classes(edited):
    labels = load_pretrained_preprocessor(BERT).classes
    # Two classes of ImageNet are cranes, too.
    assert labels.names == ("calm (0)", "angry", "calm (2)")
    given = load_pretrained_preprocessor(BERT, class_names=["yes", "no"])
    assert given.classes.names == ("yes", "no")
    folder = edited(BERT, CONFIG, {"id2label": LEFT_OUT})
    assert load_pretrained_preprocessor(folder).classes is None
    assert load_pretrained_preprocessor(folder, ["a", "b"]).classes is not None
    assert load_pretrained_preprocessor(VIT).classes.names == ("rose", "tulip")


@pytest.mark.parametrize(
    "head, num_classes",
    [
        ("BertForSequenceClassification", 3),
        ("BertForTokenClassification", None),
        ("BertModel", None),
    ],
)
def test_names_are_of_classes_only_with_a_classifier(head, num_classes, edited):
    folder = edited(BERT, CONFIG, {"architectures": [head]})
    classes = load_pretrained_preprocessor(folder).classes
    assert (classes and len(classes)) == num_classes


@pytest.mark.parametrize("class_names", [None, ["yes", "no"]])
def test_saved_and_loaded_is_the_same(class_names, golden, edited, tmp_path):
    names = ("strip_accents", "handle_chinese_chars")
    folder = edited(
        BERT, WHOLE, {("normalizer", name): False for name in names}
    )
    (folder / TOKENIZER).unlink()
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    del config["id2label"]
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")
    preprocessor = load_pretrained_preprocessor(folder, class_names, 30)
    preprocessor.save(tmp_path / "saved")
    loaded = preprocessing.load_preprocessor(tmp_path / "saved")
    if class_names is None:
        assert loaded.classes is None
    else:
        assert loaded.classes.names == ("yes", "no")
    text = tf.constant(golden["texts"])
    ids = preprocessor.encode(text)
    assert loaded.encode(text).to_list() == ids.to_list()
    assert ids.bounding_shape()[1] == 30
    # [CLS] and [SEP], where the vocabulary has them.
    assert ids[0].numpy().tolist() == [56, 4]
    (pieces,) = loaded.pieces(tf.constant(["the"])).numpy().tolist()
    assert pieces == [b"[CLS]", "▁the".encode(), b"[SEP]"]


# What is refused.


@pytest.mark.parametrize(
    "file, field, value",
    [
        (CONFIG, "model_type", "roberta"),
        (CONFIG, "vocab_size", 100),
        (CONFIG, "max_position_embeddings", None),
        (CONFIG, "id2label", {"0": "one"}),
        (CONFIG, "id2label", {"0": "a", "2": "b"}),
        (CONFIG, "id2label", ["a", "b"]),
        (TOKENIZER, "tokenizer_class", "BertJapaneseTokenizer"),
        (TOKENIZER, "do_basic_tokenize", False),
        (TOKENIZER, "never_split", ["x"]),
        (TOKENIZER, "split_special_tokens", True),
        (TOKENIZER, "padding_side", "left"),
        (TOKENIZER, "additional_special_tokens", ["[E1]"]),
        (TOKENIZER, "do_lower_case", 1),
        (TOKENIZER, "do_lower_case", False),
        (TOKENIZER, "strip_accents", False),
        (TOKENIZER, "tokenize_chinese_chars", False),
        (TOKENIZER, "model_max_length", "long"),
        (WHOLE, "model.type", "BPE"),
        (WHOLE, "model.unk_token", "<unk>"),
        (WHOLE, "model.continuing_subword_prefix", "@@"),
        (WHOLE, "model.max_input_chars_per_word", 50),
        (WHOLE, "normalizer.type", "NFC"),
        (WHOLE, "normalizer.clean_text", False),
        (WHOLE, "pre_tokenizer.type", "Whitespace"),
        (WHOLE, "post_processor", None),
        (WHOLE, "normalizer", None),
    ],
)
def test_a_setting_without_a_counterpart(edited, file, field, value):
    folder = edited(BERT, file, {tuple(field.split(".")): value})
    with pytest.raises(ValueError) as error:
        load_pretrained_preprocessor(folder)
    message = str(error.value)
    assert message.startswith(f"{folder / file}: `{field}")
    assert f"Received: {field}" in message


def test_other_special_tokens(edited):
    def refused(file, changes, message):
        folder = edited(BERT, file, changes)
        with pytest.raises(ValueError, match=message):
            load_pretrained_preprocessor(folder)
        shutil.rmtree(folder)

    token = {"content": "[CLS]", "lstrip": True, "normalized": False}
    load_pretrained_preprocessor(edited(BERT, TOKENIZER, {"cls_token": token}))
    refused(TOKENIZER, {"cls_token": "<s>"}, r"`cls_token` must be \[CLS\]")
    token = {"content": "[CLS]", "normalized": True}
    refused(TOKENIZER, {"cls_token": token}, "`cls_token`.*`normalized`")
    refused(
        "special_tokens_map.json",
        {"sep_token": "</s>"},
        r"special_tokens_map\.json: `sep_token` must be \[SEP\]",
    )
    refused("added_tokens.json", {"[E1]": 263}, r"added_tokens\.json: `\[E1\]`")
    refused(
        TOKENIZER,
        {"added_tokens_decoder": {"263": {"content": "[E1]"}}},
        r"`added_tokens_decoder` must be .*Received: '\[E1\]'",
    )
    refused(
        TOKENIZER,
        {"added_tokens_decoder": {"5": {"content": "[CLS]"}}},
        r"`added_tokens_decoder` must have \[CLS\] where.*Received: 5$",
    )
    refused(
        WHOLE,
        {"added_tokens": [{"id": 0, "content": "[PAD]", "single_word": True}]},
        r"tokenizer\.json: `added_tokens`.*`single_word`. Received: \[PAD\]",
    )
    single = [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}]
    refused(WHOLE, {("post_processor", "single"): single}, r"give \[CLS\] A ")


def test_vocabularies_that_contradict_each_other(golden, edited):
    tokens = list(golden["vocabulary"])
    folder = edited(BERT, CONFIG, {})
    load_pretrained_preprocessor(with_vocab_txt(folder, tokens))
    tokens[7], tokens[8] = tokens[8], tokens[7]
    with pytest.raises(ValueError, match=r"vocab\.txt must have the tokens"):
        load_pretrained_preprocessor(with_vocab_txt(folder, tokens))
    for vocabulary in ({}, ["a"], {"[PAD]": 0, "a": 2}):
        folder = edited(BERT, WHOLE, {("model", "vocab"): vocabulary})
        (folder / "vocab.txt").unlink(missing_ok=True)
        with pytest.raises(ValueError, match=r"json: `model\.vocab` must give"):
            load_pretrained_preprocessor(folder)
    folder = edited(BERT, WHOLE, {("model", "vocab"): {"a": 0, "b": 1}})
    with pytest.raises(ValueError, match=r"tokenizer\.json: A vocabulary must"):
        load_pretrained_preprocessor(folder)


def test_files_that_are_missing_or_damaged(edited, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"with config\.json"):
        load_pretrained_preprocessor(tmp_path)
    for file, folder in ((TOKENIZER, BERT), (PICTURES, VIT)):
        copy = edited(folder, CONFIG, {})
        (copy / file).write_text('{"a": 1,\n"b"}', "utf-8")
        with pytest.raises(ValueError, match=f"{file}, line 2: this is no JSO"):
            load_pretrained_preprocessor(copy)
        (copy / file).write_text("[]", "utf-8")
        with pytest.raises(ValueError, match=f"{file} must hold an object"):
            load_pretrained_preprocessor(copy)
        (copy / file).write_bytes(b"\xff")
        with pytest.raises(ValueError, match=f"{file} is no text"):
            load_pretrained_preprocessor(copy)
    (copy / PICTURES).unlink()
    with pytest.raises(FileNotFoundError, match=PICTURES):
        load_pretrained_preprocessor(copy)


# Pictures.


def test_pictures_of_the_right_size_are_the_same(pictures, edited):
    small = tf.constant(pictures["small"][None])
    changes = {
        "small": {},
        "factor": {"rescale_factor": 1 / 127.5},
        "plain": {"do_normalize": False},
    }
    for name, change in changes.items():
        folder = edited(VIT, PICTURES, change)
        preprocessor = load_pretrained_preprocessor(folder)
        assert type(preprocessor) is preprocessing.ImagePreprocessor
        assert preprocessor.image_shape == (48, 64, 3)
        inputs, _ = preprocessor.encode(small)
        expected = pictures[f"{name}_seen"]
        # Float32 to the last bits: values reach 3, with the factor 8.
        np.testing.assert_allclose(inputs[0], expected, rtol=0, atol=2e-6)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "resample, interpolation, largest",
    # Pillow's curve swings over the range between its two passes, too.
    [(2, "bilinear", 0.75), (3, "bicubic", 2.5)],
)
def test_a_photograph_is_nearly_the_same(
    resample, interpolation, largest, pictures, edited
):
    # From 427 x 640 to 48 x 64. Pillow's pixels are whole numbers from 0 to
    # 255, and rounding alone makes a mean difference of 0.25; measured are
    # 0.272 and 0.270.
    folder = edited(VIT, PICTURES, {"resample": resample})
    preprocessor = load_pretrained_preprocessor(folder)
    assert preprocessor.interpolation == interpolation
    photograph = sklearn.datasets.load_sample_image("flower.jpg")
    images, _ = preprocessor.decode(tf.constant(photograph[None]))
    expected = pictures[f"resample_{resample}"]
    expected = expected * [0.2, 0.25, 0.3] + [0.4, 0.5, 0.6]
    difference = np.abs(images[0] - expected) * 255
    assert difference.mean() < 0.3
    assert difference.max() < largest


def test_settings_of_pictures(edited):
    folder = edited(
        VIT,
        PICTURES,
        {
            "size": LEFT_OUT,
            "image_mean": LEFT_OUT,
            "image_std": LEFT_OUT,
            "resample": LEFT_OUT,
            "rescale_factor": LEFT_OUT,
            "image_processor_type": LEFT_OUT,
            "feature_extractor_type": "ViTFeatureExtractor",
        },
    )
    folder = shutil.move(folder, folder.with_name("usual"))
    shutil.copy(edited(VIT, CONFIG, {"image_size": 224}) / CONFIG, folder)
    preprocessor = load_pretrained_preprocessor(folder)
    assert preprocessor.image_shape == (224, 224, 3)
    assert preprocessor.interpolation == "bilinear"
    np.testing.assert_allclose(preprocessor.mean, [0.5] * 3, rtol=1e-12)
    np.testing.assert_allclose(preprocessor.standard_deviation, [0.5] * 3)
    folder = edited(VIT, PICTURES, {"do_resize": False, "size": 7})
    assert load_pretrained_preprocessor(folder).size == (48, 64)
    folder = edited(VIT, PICTURES, {"do_rescale": False})
    mean = load_pretrained_preprocessor(folder).mean
    np.testing.assert_allclose(mean, np.array([0.4, 0.5, 0.6]) / 255)


@pytest.mark.parametrize(
    "file, field, value",
    [
        (CONFIG, "image_size", {"shortest_edge": 48}),
        (CONFIG, "num_channels", 4),
        (PICTURES, "image_processor_type", "CLIPImageProcessor"),
        (PICTURES, "feature_extractor_type", "ConvNextFeatureExtractor"),
        (PICTURES, "do_center_crop", True),
        (PICTURES, "do_pad", True),
        (PICTURES, "do_reduce_labels", True),
        (PICTURES, "do_flip_channel_order", True),
        (PICTURES, "do_resize", "yes"),
        (PICTURES, "do_rescale", 0),
        (PICTURES, "do_normalize", "no"),
        (PICTURES, "resample", 0),
        (PICTURES, "resample", 1),
        (PICTURES, "resample", "bilinear"),
        (PICTURES, "size", {"shortest_edge": 48}),
        (PICTURES, "size", {"height": 48, "width": "64"}),
        (PICTURES, "size", {"height": 48, "width": 64, "longest_edge": 64}),
        (PICTURES, "size", [48]),
        (PICTURES, "size", 48),
        (PICTURES, "rescale_factor", 0),
        (PICTURES, "rescale_factor", "1/255"),
        (PICTURES, "image_mean", ["a", "b", "c"]),
        (PICTURES, "image_mean", False),
        (PICTURES, "image_std", {"red": 1}),
    ],
)
def test_a_picture_setting_without_a_counterpart(edited, file, field, value):
    folder = edited(VIT, file, {field: value})
    with pytest.raises(ValueError) as error:
        load_pretrained_preprocessor(folder)
    message = str(error.value)
    assert message.startswith(f"{folder / file}: `{field}` must be")
    assert message.endswith(f"Received: {field}={value!r}")


@pytest.mark.parametrize(
    "changes, mean, deviation",
    [
        # Zero is a number as any other.
        ({"image_mean": 0, "image_std": 2}, [0] * 3, [2] * 3),
        ({"image_mean": 0.25}, [0.25] * 3, [0.2, 0.25, 0.3]),
        ({"image_mean": [0]}, [0] * 3, [0.2, 0.25, 0.3]),
        ({"image_mean": None, "image_std": None}, [0.5] * 3, [0.5] * 3),
        ({"do_normalize": False}, [0] * 3, [1] * 3),
        (
            {"do_normalize": False, "do_rescale": False},
            [0] * 3,
            [1 / 255] * 3,
        ),
        (
            {"image_mean": 51, "image_std": 255, "do_rescale": False},
            [0.2] * 3,
            [1] * 3,
        ),
    ],
)
def test_ranges_of_pixels(changes, mean, deviation, edited):
    preprocessor = load_pretrained_preprocessor(edited(VIT, PICTURES, changes))
    np.testing.assert_allclose(preprocessor.mean, mean)
    np.testing.assert_allclose(preprocessor.standard_deviation, deviation)


@pytest.mark.parametrize("value", [0, [0.5, 0, 0.5], [0.5, -1, 0.5]])
def test_a_standard_deviation_is_above_zero(value, edited):
    folder = edited(VIT, PICTURES, {"image_std": value})
    with pytest.raises(ValueError, match=rf"{PICTURES}: `image_std` must be a"):
        load_pretrained_preprocessor(folder)


def test_numbers_that_do_not_fit_the_channels(edited):
    for name, value in (("image_mean", [0.5, 0.5]), ("image_std", [0.5] * 2)):
        folder = edited(VIT, PICTURES, {name: value})
        with pytest.raises(ValueError, match=rf"{PICTURES}: One number for"):
            load_pretrained_preprocessor(folder)
        shutil.rmtree(folder)
    with pytest.raises(ValueError, match="Received: max_sequence_length=5"):
        load_pretrained_preprocessor(VIT, max_sequence_length=5)


def test_pictures_without_classes(edited, tmp_path):
    folder = edited(VIT, CONFIG, {"id2label": LEFT_OUT})
    preprocessor = load_pretrained_preprocessor(folder)
    assert preprocessor.classes is None
    preprocessor.save(tmp_path / "saved")
    loaded = preprocessing.load_preprocessor(tmp_path / "saved")
    assert loaded.classes is None
    assert loaded.mean == preprocessor.mean

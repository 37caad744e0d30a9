"""The SavedModel where nothing of this project can be imported."""

import base64
import json
import subprocess
import sys

import numpy as np

import serving
from tests.serving.classifier_runs import encoded
from tests.serving.classifier_runs import pixels

_TEXTS = ["March 5, 2021", "20 percent", "", "ÄÖ 漢字 🇫🇷"]

# Only its own modules: `-I` leaves the current folder and PYTHON* out, and
# the finder of an editable install is taken away before anything is imported.
_START = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path
                    if "__editable__" not in getattr(f, "__module__", "")
                    and "__editable__" not in getattr(f, "__name__", "")]
sys.path[:] = [p for p in sys.path
               if p != {repository!r} and "__editable__" not in p]
import importlib.util, json
OURS = ["layers", "zoo", "preprocessing", "training", "serving", "datasets",
        "summaries", "train", "sentencepiece", "babel", "jsonargparse"]
for name in OURS[:8]:
    assert importlib.util.find_spec(name) is None, name
import tensorflow as tf
import tensorflow_text
model = tf.saved_model.load(sys.argv[1])
"""
_END = """
loaded = [name for name in OURS if name in sys.modules]
assert not loaded, loaded
print(json.dumps(found))
"""

_TRANSLATE = """
texts = tf.constant(json.loads(sys.argv[2]))
answer = model.signatures["explain"](text=texts)
default = model.signatures["serving_default"](text=texts)
found = {
    "explain": [text.decode() for text in answer["translation"].numpy()],
    "default": [text.decode() for text in default["translation"].numpy()],
    "attention": answer["attention"].shape.as_list(),
}
"""

# Inputs are bytes in base64.
_CLASSIFY = """
import base64
name, rows = json.loads(sys.argv[2])
rows = tf.constant([base64.b64decode(row) for row in rows])
answer = model.signatures["explain"](**{name: rows})
default = model.signatures["serving_default"](**{name: rows})
found = {
    "names": [name.decode() for name in model.class_names().numpy()],
    "label": [label.decode() for label in answer["label"].numpy()],
    "default": [label.decode() for label in default["label"].numpy()],
    "probabilities": answer["probabilities"].numpy().tolist(),
    "attention": answer["attention"].numpy().tolist(),
}
"""


def _run(program, model, inputs, folder, root):
    """What the program finds, in a process of its own."""
    process = subprocess.run(
        [
            *(sys.executable, "-I", "-c"),
            _START.format(repository=str(root)) + program + _END,
            *(str(model), json.dumps(inputs)),
        ],
        cwd=folder,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_the_same_text_without_the_project(
    tiny_run, tiny_saved_model, tmp_path, request
):
    answer = _run(
        _TRANSLATE, tiny_saved_model, _TEXTS, tmp_path, request.config.rootpath
    )
    here = serving.load(tiny_run)
    assert answer["explain"] == here.translate(_TEXTS)
    assert answer["default"] == answer["explain"]
    explained = here.explain(_TEXTS)
    assert answer["attention"][:3] == [len(_TEXTS), 1, 1]
    assert answer["attention"][3:] == [
        max(len(row.tokens) for row in explained),
        max(len(row.source_tokens) for row in explained),
    ]


def test_the_same_classes_of_texts_without_the_project(
    text_run, text_saved_model, tmp_path, request
):
    rows = [base64.b64encode(text.encode()).decode() for text in _TEXTS]
    root = request.config.rootpath
    answer = _run(_CLASSIFY, text_saved_model, ("text", rows), tmp_path, root)
    here = serving.load(text_run.directory)
    assert answer["names"] == list(here.class_names)
    assert answer["label"] == answer["default"] == here.classify(_TEXTS)
    np.testing.assert_allclose(
        answer["probabilities"], here.probabilities(_TEXTS), atol=1e-6
    )
    for scores, explained in zip(answer["attention"], here.explain(_TEXTS)):
        length = len(explained.tokens)
        found = np.asarray(scores)[:, :, :length, :length]
        np.testing.assert_allclose(found, explained.attention, atol=1e-6)


def test_the_same_classes_of_pictures_without_the_project(
    image_run, image_saved_model, tmp_path, request
):
    array = pixels(3, 20, 30)
    files = [encoded(array), b"no picture", encoded(array, "JPEG")]
    rows = [base64.b64encode(content).decode() for content in files]
    root = request.config.rootpath
    answer = _run(_CLASSIFY, image_saved_model, ("image", rows), tmp_path, root)
    here = serving.load(image_run.directory)
    assert answer["names"] == list(here.class_names)
    assert answer["label"] == answer["default"] == here.classify(files)
    np.testing.assert_allclose(
        answer["probabilities"], here.probabilities(files), atol=1e-6
    )
    np.testing.assert_allclose(
        answer["attention"],
        [explained.attention for explained in here.explain(files)],
        atol=1e-6,
    )

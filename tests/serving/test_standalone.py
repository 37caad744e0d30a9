"""The SavedModel where nothing of this project can be imported."""

import json
import subprocess
import sys

import serving

_TEXTS = ["March 5, 2021", "20 percent", "", "ÄÖ 漢字 🇫🇷"]

# Only its own modules: `-I` leaves the current folder and PYTHON* out, and
# the finder of an editable install is taken away before anything is imported.
_PROGRAM = """
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
texts = tf.constant(json.loads(sys.argv[2]))
answer = model.signatures["explain"](text=texts)
default = model.signatures["serving_default"](text=texts)
loaded = [name for name in OURS if name in sys.modules]
assert not loaded, loaded
print(json.dumps({{
    "explain": [text.decode() for text in answer["translation"].numpy()],
    "default": [text.decode() for text in default["translation"].numpy()],
    "attention": answer["attention"].shape.as_list(),
}}))
"""


def test_the_same_text_without_the_project(
    tiny_run, tiny_saved_model, tmp_path, request
):
    program = _PROGRAM.format(repository=str(request.config.rootpath))
    process = subprocess.run(
        [
            *(sys.executable, "-I", "-c", program),
            *(str(tiny_saved_model), json.dumps(_TEXTS)),
        ],
        cwd=tmp_path,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout.splitlines()[-1])
    here = serving.load(tiny_run)
    assert answer["explain"] == here.translate(_TEXTS)
    assert answer["default"] == answer["explain"]
    explained = here.explain(_TEXTS)
    assert answer["attention"][:3] == [len(_TEXTS), 1, 1]
    assert answer["attention"][3:] == [
        max(len(row.tokens) for row in explained),
        max(len(row.source_tokens) for row in explained),
    ]

"""What the documentation says is so."""

import ast
import pathlib
import re

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_worked_example():
    text = (ROOT / "docs" / "worked_example.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names, compared = {}, 0
    for block in blocks:
        exec(block, names)
        # `# name [[...]]`, and `Q = ...  # [[...]]`.
        for name, numbers in re.findall(
            r"^(?:# (?=\w+ +\[)|(?=\w+ = .*# \[))(\w+)[^#\n]*?(?:# )?(\[\[.*)$",
            block,
            flags=re.MULTILINE,
        ):
            expected = ast.literal_eval(numbers)
            found = np.asarray(names[name]).reshape(np.shape(expected))
            np.testing.assert_allclose(found, expected, atol=1e-3)
            compared += 1
    assert compared == 6

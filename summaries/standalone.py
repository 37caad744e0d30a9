"""The page of the Attention tab as one HTML file that holds its own data."""

import base64
import html
import json
import math
import pathlib
import re

import numpy as np

_PAGE = pathlib.Path(__file__).parent / "page"
_IMPORT = re.compile(r'(from|import) "\./([\w-]+\.js)"')
_FILE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
<script type="importmap">{modules}</script>
</head>
<body>
<script type="application/json" id="data">{data}</script>
<script type="module">import "attention/standalone.js";</script>
</body>
</html>
"""


def standalone_page(name, answer, layers=None, heads=None):
    """The page with one answer, for a browser without any network.

    Args:
        name: What to call it.
        answer: Outputs of the signature `explain`, the batch first: arrays,
            or lists of texts.
        layers: For each output of attention the names of its layers, as the
            model card has them.
        heads: Likewise for each the numbers of the heads of each layer, where
            the export left some out.

    Returns:
        The HTML, a string.
    """
    data = {
        "name": name,
        "answer": answer,
        "layers": layers or {},
        "heads": heads or {},
    }
    return _FILE.format(
        title=html.escape(name),
        style=(_PAGE / "style.css").read_text("utf-8"),
        modules=_in_script({"imports": _modules()}),
        data=_in_script(data),
    )


def _modules():
    """Address of each module, which holds the module itself."""
    found = {}
    for path in sorted(_PAGE.glob("*.js")):
        # A module in an address has no neighbours to find by a path.
        source = _IMPORT.sub(r'\1 "attention/\2"', path.read_text("utf-8"))
        content = base64.b64encode(source.encode()).decode()
        found[f"attention/{path.name}"] = (
            f"data:text/javascript;base64,{content}"
        )
    return found


def _in_script(content):
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(_plain(content), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value):
    """What JSON can hold: what is no number is nothing there."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            value = np.where(np.isfinite(value), value, None)
        return value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"An answer holds no {type(value).__name__}: {value!r}")

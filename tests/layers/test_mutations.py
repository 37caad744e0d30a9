"""The list of mutations is up to date; `mutations.py` runs them."""

import pytest

from tests.layers.mutations import MUTATIONS
from tests.layers.mutations import source


@pytest.mark.parametrize("name, old, new, tests", MUTATIONS)
def test_the_line_is_there(name, old, new, tests):
    assert source(name).count(old) >= 1
    assert old != new

import dataclasses

import pytest

import zoo
from zoo import _registry


class Model:
    def __init__(self, **arguments):
        self.arguments = arguments


@pytest.fixture
def preset(monkeypatch):
    """A registry with one preset in it."""
    monkeypatch.setattr(_registry, "_presets", {})
    made = zoo.Preset(
        name="reader_tiny",
        model=Model,
        architecture={"hidden_dim": 3, "cell": "gru"},
        dataset="phrases",
        recipe={"epochs": 5},
        preprocessing={},
        parameters=7,
        counted_with={},
        paper="A paper",
    )
    zoo.register(made)
    return made


def test_a_preset_is_found(preset):
    assert zoo.list_presets() == ["reader_tiny"]
    assert zoo.get_preset("reader_tiny") is preset


def test_presets_are_listed_sorted(preset):
    zoo.register(
        dataclasses.replace(preset, name="writer_tiny"),
        dataclasses.replace(preset, name="reader_base"),
    )
    assert zoo.list_presets() == ["reader_base", "reader_tiny", "writer_tiny"]


def test_a_name_is_taken_once(preset):
    other = dataclasses.replace(preset, name="reader_base")
    with pytest.raises(ValueError, match="Received: name=reader_tiny"):
        zoo.register(other, preset)
    assert zoo.get_preset("reader_tiny") is preset


def test_an_unknown_name_with_a_suggestion(preset):
    message = (
        r"no such preset\. Did you mean reader_tiny\? "
        "Known: reader_tiny. Received: preset=reeder_tiny"
    )
    with pytest.raises(ValueError, match=message):
        zoo.get_preset("reeder_tiny")
    with pytest.raises(ValueError, match=message):
        zoo.create_model("reeder_tiny")


def test_an_unknown_name_without_one(preset):
    message = r"no such preset\. Known: reader_tiny\. Received: preset=xyz"
    with pytest.raises(ValueError, match=message):
        zoo.get_preset("xyz")


def test_overrides(preset):
    model = zoo.create_model("reader_tiny", hidden_dim=11, dropout=0.5)
    assert model.arguments == {"hidden_dim": 11, "cell": "gru", "dropout": 0.5}
    # The preset is as it was.
    assert preset.architecture == {"hidden_dim": 3, "cell": "gru"}
    assert zoo.create_model("reader_tiny").arguments == preset.architecture


def test_a_preset_cannot_be_changed(preset):
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset.parameters = 11

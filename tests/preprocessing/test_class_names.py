import pytest

from preprocessing.class_names import ClassNames


def test_strings_of_labels():
    classes = ClassNames(["cat", "hund", "猫"])
    assert len(classes) == 3
    names = classes.strings([[2, 0], [1, 1]]).numpy().tolist()
    assert [[x.decode() for x in row] for row in names] == [
        ["猫", "cat"],
        ["hund", "hund"],
    ]


def test_labels_of_a_data_set_with_another_order():
    classes = ClassNames(["cat", "dog", "cow"])
    assert classes.translation(["cow", "cat"]).tolist() == [2, 0]
    assert classes.translation(classes.names).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"know: 'ant', 'bee'\. Known: 'cat'"):
        classes.translation(["bee", "cat", "ant"])


@pytest.mark.parametrize(
    "names", [[], ["one"], ["two", "two"], ["", "x"], [1, 2]]
)
def test_bad_names(names):
    with pytest.raises(ValueError, match="Received: class_names="):
        ClassNames(names)

"""What is shown of scores."""

from training.progress import score_table


def test_texts_of_others_cannot_steer_the_terminal():
    scores = {
        "classes": [{"class": "\x1b[2Jred", "f1": 0.5}],
        "most_confident_errors": [{"text": "a\rb\x07" + "x" * 500}],
        "\x1bname": 1.0,
    }
    printed = score_table("test", scores)
    assert not {"\x1b", "\r", "\x07"} & set(printed)
    assert "class \N{REPLACEMENT CHARACTER}[2Jred, f1 0.5000" in printed
    assert "x" * 200 not in printed


def test_a_large_confusion_matrix_is_where_it_is_drawn():
    small, large = ([[1] * n for _ in range(n)] for n in (20, 21))
    printed = score_table("test", {"confusion_matrix": small}, "drawn")
    assert printed.count("[1, 1") == 20
    printed = score_table("test", {"confusion_matrix": large}, "drawn")
    assert "[1, 1" not in printed
    assert "drawn/confusion_matrix.png" in printed

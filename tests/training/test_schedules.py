import keras
import pytest

from training.schedules import WarmupSchedule


def _rates(steps, *arguments):
    schedule = WarmupSchedule(*arguments)
    return [float(schedule(step)) for step in steps]


def test_warmup_rises_in_equal_steps():
    for kind in ("constant", "cosine", "inverse_square_root"):
        rates = _rates([0, 1, 3], 0.8, 4, 100, kind)
        assert rates == pytest.approx([0.2, 0.4, 0.8])


def test_constant():
    assert _rates([4, 50, 1000], 0.8, 4, 100, "constant") == pytest.approx(
        [0.8, 0.8, 0.8]
    )


def test_cosine():
    # Warm-up 4, total 12: the peak at step 3, half of it at step 7, then 0.
    rates = _rates([3, 5, 7, 9, 11, 12, 99], 0.8, 4, 12, "cosine")
    quarter = 0.8 * (1 + 0.5**0.5) / 2
    expected = [0.8, quarter, 0.4, 0.8 - quarter, 0, 0, 0]
    assert rates == pytest.approx(expected, abs=1e-6)


def test_inverse_square_root():
    rates = _rates([3, 15, 35], 0.8, 4, 100, "inverse_square_root")
    assert rates == pytest.approx([0.8, 0.4, 0.8 / 3])


def test_no_warmup_begins_at_the_peak():
    for kind in ("constant", "cosine", "inverse_square_root"):
        assert _rates([0], 0.5, 0, 100, kind) == pytest.approx([0.5])


def test_a_training_shorter_than_the_warmup_only_rises():
    rates = _rates([0, 1, 2], 1.0, 10, 3, "cosine")
    assert rates == pytest.approx([0.1, 0.2, 0.3])


def test_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="schedule=linear"):
        WarmupSchedule(1.0, 10, 100, "linear")


def test_saved_and_loaded_is_the_same():
    schedule = WarmupSchedule(0.5, 3, 9, "cosine")
    again = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule)
    )
    assert again.get_config() == schedule.get_config()
    assert float(again(5)) == float(schedule(5))

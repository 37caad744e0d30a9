"""The Attention tab in TensorBoard, in a real browser."""

import json
import pathlib
import urllib.request

import keras
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import layers
import summaries
from summaries import PatchSide
from summaries import PooledSide
from summaries import Side
from summaries.score_index import write_scores
from summaries.standalone import standalone_page

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "a\x00\x1b[31mb",
    "x" * 10_000,
    "\u202eabc \u0645\u0631\u062d\u0628\u0627",
    "&amp;",
]
WORDS = ["jeudi", "24", "octobre", "[END]"]
SOURCE = ["Thursday", "October", "24", "2047", "[END]"]


def softmax(seed, *shape):
    weights = np.exp(2 * np.random.default_rng(seed).normal(size=shape))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype("float32")


def translator_scores(seed):
    return {
        "encoder/0/self": softmax(seed, 2, 2, 6, 6),
        "decoder/0/cross": softmax(seed + 1, 2, 2, 6, 6),
    }


def picture_scores(seed):
    return {
        "encoder/0/self": softmax(seed, 1, 3, 17, 17),
        "pooling": softmax(seed + 1, 1, 1, 1, 17),
    }


def write_one(folder, step, value=None):
    """One weight, which says the step."""
    value = step / 200 if value is None else value
    weight = np.full((1, 1, 1, 1), value, "float32")
    sides = Side([["a"]]), Side([["b"]])
    return write_scores(
        folder, {"decoder/0/cross": weight}, lambda _: sides, step
    )


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    source = Side([SOURCE, HOSTILE])
    target = Side([WORDS, WORDS])
    sides = {
        "encoder/0/self": (source, source),
        "decoder/0/cross": (target, source),
    }
    for run, steps in (("first", 5), ("second", 2)):
        for step in range(steps):
            write_scores(
                folder / run,
                translator_scores(step),
                sides.__getitem__,
                step,
                alignments=[[(0, 0), (1, 2)], []],
            )
    images = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3))
    image = PatchSide(images.astype("uint8"), (4, 4), 1)
    sides = {"encoder/0/self": (image, image), "pooling": (PooledSide(), image)}
    write_scores(
        folder / "vision",
        picture_scores(7),
        sides.__getitem__,
        0,
        rollout=(softmax(9, 1, 17), image),
    )
    for step in range(200):
        write_one(folder / "long", step)
    write_one(folder / "growing", 0)
    side = Side([[f"word{place}" for place in range(100)]])
    heads = np.full((1, 5, 100, 100), 1e-3, "float32")
    heads[0, 1] += 0.9 * np.eye(100)
    heads[0, 2, :, 7] += 0.9
    heads[0, 3, 3, 3] = np.nan
    heads[0, 4] = softmax(0, 100, 100)
    write_scores(
        folder / "marks", {"encoder/0/self": heads}, lambda _: (side, side), 0
    )
    damaged, _ = (write_one(folder / "damaged", step) for step in (0, 1))
    damaged.write_bytes(damaged.read_bytes()[:100])
    return folder


@pytest.fixture
def tab(page, tensorboard, log_dir):
    address = tensorboard(log_dir)

    """Opens the tab in a state; gives its frame."""

    def open_tab(**state):
        parts = [f"p.attention.{k}={v}" for k, v in state.items()]
        page.goto("about:blank")
        page.goto(f"{address}/#{'&'.join(['attention', *parts])}")
        frame = page.frame_locator("iframe")
        expect(frame.locator(".overview .head").first).to_be_visible()
        return frame

    return open_tab


def choose(frame, control, value):
    frame.locator(f"[data-control={control}]").select_option(value)


def click(frame, control):
    frame.locator(f"[data-control={control}]").click()


def plain(text):
    """Without the signs that keep directions apart."""
    return text.replace("\u2068", "").replace("\u2069", "")


def cell(frame, row, column):
    """Points at a cell of the map."""
    plot = frame.locator(".plot canvas").first
    size = 0
    while not size:  # one that is just being replaced has none
        size = plot.evaluate(
            "canvas => canvas.getBoundingClientRect().width / canvas.width"
        )
    plot.hover(position={"x": (column + 0.5) * size, "y": (row + 0.5) * size})


def test_the_overview_shows_all_heads(tab):
    frame = tab(run="first", step=2)
    heads = frame.locator(".overview .head")
    expect(heads).to_have_count(4)
    expect(frame.locator(".overview h2")).to_have_text(
        ["encoder/0/self", "decoder/0/cross"]
    )
    heads.nth(3).click()
    expect(heads.nth(3)).to_have_attribute("aria-pressed", "true")
    expect(frame.locator(".map figcaption")).to_contain_text(
        "decoder/0/cross, head 1"
    )
    assert "entropy" in heads.nth(3).get_attribute("aria-label")
    expect(heads.nth(3)).to_be_focused()
    heads.nth(3).press("ArrowUp")
    expect(heads.nth(1)).to_be_focused()


def test_the_exact_weight_is_under_the_pointer(tab):
    frame = tab(run="first", step=2, layer=1, head=0)
    weights = translator_scores(2)["decoder/0/cross"][0, 0]
    readout = frame.locator(".readout")
    for row, column in ((0, 0), (3, 4), (1, 2)):
        cell(frame, row, column)
        expect(readout).to_contain_text(f"{weights[row, column]:.4f}")
        shown = plain(readout.text_content())
        assert f"{WORDS[row]} → {SOURCE[column]}" in shown
    expect(readout).to_contain_text("aligned")
    expect(frame.locator(".mark.gold")).to_have_count(2)


def test_the_map_with_keys_alone(tab):
    frame = tab(run="first", step=0, layer=1, head=1)
    weights = translator_scores(0)["decoder/0/cross"][0, 1]
    area = frame.locator(".map-frame")
    area.focus()
    readout = frame.locator(".readout")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        area.press(key)
    expect(readout).to_contain_text(f"{weights[1, 1]:.4f}")
    before = frame.locator(".plot canvas").bounding_box()["width"]
    area.press("+")
    assert frame.locator(".plot canvas").bounding_box()["width"] > before
    area.press("Escape")
    expect(readout).to_have_text("")


def seen(weights):
    """A weight below 0.02 has no line."""
    return np.where(weights < 0.02, 0, weights)


def test_lines_of_a_word(tab):
    frame = tab(run="first", step=2, layer=1, head=0)
    click(frame, "view-lines")
    weights = translator_scores(2)["decoder/0/cross"][0]
    words = frame.locator(".words.queries button")
    expect(words).to_have_text(WORDS)
    words.nth(2).hover()
    shaded = frame.locator(".words.keys button").evaluate_all(
        "all => all.map(e => Number(e.style.getPropertyValue('--weight')))"
    )
    np.testing.assert_allclose(shaded, seen(weights[0, 2, :5]), atol=1e-3)
    (group,) = frame.locator(".lines svg path").all()[:1]
    assert group.get_attribute("d").startswith("M0 55C")  # from the third word
    frame.locator(".lines .chip").nth(1).click()
    words.nth(2).focus()
    shaded = frame.locator(".words.keys button").evaluate_all(
        "all => all.map(e => Number(e.style.getPropertyValue('--weight')))"
    )
    np.testing.assert_allclose(
        shaded, seen(weights[:, 2, :5].max(axis=0)), atol=1e-3
    )


def test_a_patch_shows_where_it_looks(tab):
    frame = tab(run="vision", layer=0, head=1, view="picture")
    weights = picture_scores(7)["encoder/0/self"][0, 1]
    stage, readout = frame.locator(".stage"), frame.locator(".readout")
    expect(frame.get_by_role("button", name="class token")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(readout).to_contain_text(f"{weights[0, 1:].max():.4f}")
    width = stage.bounding_box()["width"]
    patch = {"x": width * 0.625, "y": width * 0.375}  # row 1, column 2
    stage.click(position=patch)
    expect(readout).to_have_text(
        f"patch 1, 2 → patch 1, 2  {weights[7, 7]:.4f}"
    )
    stage.press("ArrowLeft")
    expect(readout).to_have_text(
        f"patch 1, 2 → patch 1, 1  {weights[7, 6]:.4f}"
    )
    stage.press("Enter")
    expect(readout).to_have_text(
        f"patch 1, 1 → patch 1, 1  {weights[6, 6]:.4f}"
    )
    frame.get_by_role("button", name="rollout").click()
    rollout = softmax(9, 1, 17)[0, 1:]
    expect(readout).to_contain_text(f"patch 1, 1  {rollout[5]:.4f}")
    expect(frame.locator(".patches figcaption")).to_have_text(
        "rollout over all layers"
    )
    expect(frame.get_by_alt_text("the picture as")).to_be_visible()
    # What is shown stays as other heads are looked at.
    frame.locator(".overview .head").nth(0).click()
    expect(frame.get_by_role("button", name="rollout")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_steps_by_slider_and_by_play(page, tab):
    frame = tab(run="first", step=0, layer=1, head=0)
    slider = frame.locator("[data-control=step]")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    for part in (0.3, 0.6, 0.98):
        page.mouse.move(
            box["x"] + part * box["width"], box["y"] + box["height"] / 2
        )
        page.wait_for_timeout(100)
    page.mouse.up()
    expect(frame.locator(".steps output")).to_have_text("step 4")
    slider.press("Home")
    slider.press("ArrowRight")
    expect(frame.locator(".steps output")).to_have_text("step 1")
    cell(frame, 0, 0)
    expect(frame.locator(".readout")).to_contain_text(
        f"{translator_scores(1)['decoder/0/cross'][0, 0, 0, 0]:.4f}"
    )
    click(frame, "play")
    expect(frame.locator(".steps output")).to_have_text("step 4")
    expect(frame.locator("[data-control=play]")).to_have_text("Play")


def test_two_steps_side_by_side(tab):
    frame = tab(run="first", step=3, layer=1, head=0, view="compare")
    choose(frame, "other-step", "1")
    maps = frame.locator(".map")
    expect(maps).to_have_count(3)
    expect(maps.nth(0)).to_contain_text("first, step 1")
    expect(maps.nth(2)).to_contain_text("second less first")
    box = maps.nth(2).locator(".plot canvas")
    box.hover(position={"x": 3, "y": 3})
    weights = [
        translator_scores(step)["decoder/0/cross"][0, 0, 0, 0]
        for step in (3, 1)
    ]
    for place, weight in enumerate([*weights[::-1], weights[0] - weights[1]]):
        expect(maps.nth(place).locator(".readout")).to_contain_text(
            f"{weight:.4f}"
        )


def test_runs_with_other_tokens_have_no_difference(tab):
    frame = tab(run="first", layer=0, view="compare")
    choose(frame, "other-run", "vision")
    expect(frame.locator(".map")).to_have_count(2)
    expect(frame.locator(".compare .note")).to_contain_text("other tokens")


def test_a_link_keeps_the_state(page, tab):
    frame = tab(run="first", step=3, layer=1, head=1, sample=1)
    click(frame, "view-lines")
    frame.locator(".lines .chip").nth(0).click()
    click(frame, "link")
    expect(frame.locator(".message")).to_have_text("The link is copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    page.goto("about:blank")
    page.goto(link)
    frame = page.frame_locator("iframe")
    expect(frame.locator(".lines")).to_be_visible()
    for control, value in {
        "run": "first",
        "sample": "1",
        "layer": "1",
        "head": "1",
    }.items():
        expect(frame.locator(f"[data-control={control}]")).to_have_value(value)
    expect(frame.locator(".steps output")).to_have_text("step 3")
    for chip in frame.locator(".lines .chip").all():
        expect(chip).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("view", ["map", "lines"])
def test_hostile_tokens_are_text(tab, view):
    frame = tab(run="first", step=0, sample=1, layer=0, view=view)
    expect(frame.locator(".detail figure")).to_be_visible()
    assert frame.locator("img, .detail script").count() == 0
    shown = frame.locator(".detail").inner_text()
    assert "<img␣src=x␣onerror" in shown
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "x" * 60 not in shown


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_and_accessibility(page, tab, theme):
    frame = tab(run="vision", layer=0)
    page.get_by_label("Menu for changing light or dark theme").click()
    page.get_by_title(f"Force {theme} TensorBoard theme.").click()
    expect(frame.locator("html")).to_have_attribute("data-theme", theme)
    frame.get_by_text("What the bars and marks say").click()
    inside = page.frames[-1]
    for view in ("map", "lines", "picture", "compare"):
        click(frame, f"view-{view}")
        kind = {"picture": ".patches"}.get(view, f".{view}")
        expect(frame.locator(f".detail {kind}").first).to_be_visible()
        found = Axe().run(inside).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def steps_of(address, run):
    """What the tab's server lists."""
    with urllib.request.urlopen(
        f"{address}/data/plugin/attention/runs"
    ) as answer:
        runs = json.load(answer)["runs"]
    return {each["name"]: each["steps"] for each in runs}[run]


def test_no_step_is_sampled_away(tab, tensorboard, log_dir):
    for options in ([], ["--load_fast=false"]):
        address = tensorboard(log_dir, *options)
        assert steps_of(address, "long") == list(range(200))
    frame = tab(run="long", step=123)
    expect(frame.locator(".steps output")).to_have_text("step 123")
    cell(frame, 0, 0)
    expect(frame.locator(".readout")).to_contain_text("0.6150")


def test_a_damaged_step_is_named_and_the_others_are_shown(tab):
    frame = tab(run="damaged", step=1)
    frame.locator("[data-control=step]").press("Home")
    expect(frame.locator(".message.error")).to_contain_text(
        "000000000000.npz can't be read"
    )
    expect(frame.locator(".overview .head")).to_have_count(0)
    frame.locator("[data-control=step]").press("End")
    expect(frame.locator(".map")).to_be_visible()
    expect(frame.locator(".message")).to_have_text("")


def test_a_step_that_comes_while_the_page_is_open(page, tab, log_dir):
    frame = tab(run="growing")
    expect(frame.locator(".steps output")).to_be_hidden()
    write_one(log_dir / "growing", 1)
    # As TensorBoard's button does, and the page itself now and then.
    page.locator(".reload-button").click()
    page.frames[-1].evaluate("dispatchEvent(new Event('attention-reload'))")
    # Before the page itself looks again.
    expect(frame.locator(".steps output")).to_have_text("step 1", timeout=8000)
    write_one(log_dir / "growing", 1, value=0.5)
    page.frames[-1].evaluate("dispatchEvent(new Event('attention-reload'))")
    cell(frame, 0, 0)
    expect(frame.locator(".readout")).to_contain_text("0.5000", timeout=8000)


def test_a_layer_with_one_head_in_all_views(tab):
    frame = tab(run="long", step=100)
    cell(frame, 0, 0)
    for view, kind in (("lines", ".lines"), ("map", ".map")):
        click(frame, f"view-{view}")
        expect(frame.locator(f".detail {kind}")).to_be_visible()
        expect(frame.locator(".message")).to_have_text("")
    expect(frame.locator(".overview .head")).to_have_count(1)


def test_a_view_that_fails_leaves_the_controls(tab):
    frame = tab(run="damaged", step=1)
    click(frame, "view-compare")  # with the first step
    expect(frame.locator(".detail .error")).to_contain_text("can't be read")
    click(frame, "view-map")
    expect(frame.locator(".map")).to_be_visible()


def test_heads_that_deserve_a_mark(tab):
    frame = tab(run="marks")
    names = frame.locator(".overview .head").all()
    found = [name.get_attribute("aria-label").split(":")[0] for name in names]
    assert found == [
        "encoder/0/self, head 0, uniform",
        "encoder/0/self, head 1, diagonal",
        "encoder/0/self, head 2, one token",
        "encoder/0/self, head 3, NaN",
        "encoder/0/self, head 4",
    ]
    click(frame, "view-lines")
    expect(frame.locator(".lines .note")).to_contain_text("NaN")


def test_the_layer_is_kept_by_its_name(tab):
    frame = tab(run="first", layer=1, head=1)
    choose(frame, "run", "vision")
    expect(frame.locator(".map")).to_be_visible()
    choose(frame, "run", "second")
    expect(frame.locator("[data-control=layer]")).to_have_value("1")


def test_a_plain_keras_model_in_three_lines(page, tensorboard, tmp_path):
    tokens = keras.Input((5,), dtype="int32")
    states = keras.layers.Embedding(10, 8)(tokens)
    states = layers.MultiHeadAttention(2, 4, name="mine")(states, states)
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(states))
    model = keras.Model(tokens, outputs)
    model.compile("adam", "mse")
    ids, words = np.array([[1, 2, 3, 4, 5]]), [["I", "am", "a", "plain", "one"]]

    samples = summaries.AttentionSamples(ids, {"text": Side(words)})
    callback = summaries.AttentionSummary(tmp_path, samples)
    model.fit(ids, np.ones((1, 1)), epochs=2, verbose=0, callbacks=[callback])

    page.goto(f"{tensorboard(tmp_path)}/#attention")
    frame = page.frame_locator("iframe")
    expect(frame.locator(".overview .head")).to_have_count(2)
    expect(frame.locator(".overview h2")).to_contain_text("mine")
    expect(frame.locator(".axis.down")).to_contain_text("plain")


@pytest.mark.parametrize("kind", ["svg", "png"])
@pytest.mark.parametrize("view", ["map", "lines", "picture"])
def test_a_view_is_saved(page, tab, tmp_path, kind, view):
    run = "vision" if view == "picture" else "first"
    frame = tab(run=run, layer=0, head=0, view=view)
    expect(frame.locator(".detail figure")).to_be_visible()
    with page.expect_download() as download:
        click(frame, f"save-{kind}")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.suffix == f".{kind}"
    content = path.read_bytes()
    if kind == "png":
        assert content.startswith(b"\x89PNG") and len(content) > 1000
    else:
        text = content.decode()
        assert "encoder/0/self" in text
        assert ("Thursday" in text) == (view != "picture")


def explain_answer():
    return {
        "translation": ["jeudi"],
        "source_tokens": [["Thursday", "[END]", ""]],
        "target_tokens": [["jeudi", "[END]"]],
        "attention": softmax(3, 1, 1, 1, 2, 3).tolist(),
    }


def open_file(frame, path):
    frame.locator("[data-control=file]").set_input_files(path)


def drop(frame, path):
    """Drops a file on the page, as a pointer would."""
    frame.locator("body").evaluate(
        """(body, [name, text]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], name));
          for (const type of ["dragover", "drop"]) {
            const event = new DragEvent(type, { dataTransfer, bubbles: true });
            body.dispatchEvent(event);
          }
        }""",
        [path.name, path.read_text()],
    )


@pytest.mark.parametrize("form", ["outputs", "predictions", "plain"])
def test_an_answer_of_a_served_model(tab, tmp_path, form):
    answer = explain_answer()
    if form == "outputs":
        answer = {"outputs": answer}
    elif form == "predictions":
        row = {name: values[0] for name, values in answer.items()}
        answer = {"predictions": [row]}
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(answer))
    frame = tab(run="first")
    drop(frame, path)
    expect(frame.locator("[data-control=run]")).to_have_value("answer.json")
    cell(frame, 0, 1)
    weight = softmax(3, 1, 1, 1, 2, 3)[0, 0, 0, 0, 1]
    expect(frame.locator(".readout")).to_have_text(
        f"\u2068jeudi\u2069 → \u2068[END]\u2069  {weight:.4f}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is no JSON"),
        ("[]", "`explain` is needed"),
        ("null", "`explain` is needed"),
        ('{"outputs": {"a": 3}}', "`explain` is needed"),
        ('{"predictions": [{"label": "x"}]}', "it has no `attention`"),
        (
            '{"predictions": [{"tokens": ["a", "b"], "attention": [[[[1]]]]}]}',
            "`attention[0]` has fewer than 2 rows",
        ),
    ],
)
def test_a_file_that_is_none_of_ours(tab, tmp_path, text, message):
    path = tmp_path / "other.json"
    path.write_text(text)
    frame = tab(run="first")
    open_file(frame, path)
    expect(frame.locator(".message.error")).to_contain_text(message)
    expect(frame.locator(".message.error")).to_contain_text("other.json")


def test_weights_that_are_no_numbers_are_shown_as_such(tab, tmp_path):
    answer = explain_answer()
    answer["attention"][0][0][0][0][1] = float("nan")
    path = tmp_path / "nan.json"
    path.write_text(json.dumps(answer))  # as servers do: NaN, which is no JSON
    frame = tab(run="first")
    drop(frame, path)
    expect(frame.locator("[data-control=run]")).to_have_value("nan.json")
    cell(frame, 0, 1)
    expect(frame.locator(".readout")).to_contain_text("NaN")
    expect(frame.locator(".overview .badge")).to_have_text("NaN")
    # The answer lies beside the runs of the server, and has no link.
    expect(frame.locator("[data-control=link]")).to_be_hidden()
    choose(frame, "run", "second")
    expect(frame.locator("[data-control=link]")).to_be_visible()


def test_an_answer_of_several_rows(tab, tmp_path):
    weights = softmax(5, 2, 1, 1, 2, 3)
    answer = explain_answer()
    for name in ("translation", "source_tokens", "target_tokens"):
        answer[name] = [answer[name][0], answer[name][0]]
    answer["attention"] = weights.tolist()
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(answer))
    frame = tab(run="first")
    open_file(frame, path)
    for sample in (0, 1):
        choose(frame, "sample", str(sample))
        rows = weights[sample, 0, 0, :, :2]
        most = rows.max(axis=1).mean()
        expect(frame.locator(".map figcaption")).to_contain_text(
            f"maximum {most:.4f}"
        )


def test_a_page_of_its_own_without_any_network(page, tmp_path):
    answer = explain_answer()
    answer["source_tokens"] = [["</script><b>", "NaN", ""]]
    answer["attention"] = np.array(answer["attention"])
    path = tmp_path / "page.html"
    path.write_text(standalone_page("a & b", answer), "utf-8")
    page.context.set_offline(True)
    page.goto(path.as_uri())
    expect(page.locator(".overview .head")).to_have_count(1)
    shown = page.locator(".axis.across").inner_text()
    assert "</script><b>" in shown and "NaN" in shown
    assert page.title() == "a & b"
    assert pathlib.Path(path).stat().st_size < 200_000

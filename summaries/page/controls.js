// The controls above the views. They are made once and then kept true, so
// that none is lost while it is dragged or has the focus.

import { action, group, node } from "./elements.js";
import { sentence } from "./labels.js";
import { hasPicture, headName, MEAN, otherOf, VIEWS } from "./state.js";

export class Controls {
  constructor(app) {
    this.app = app;
    this.element = node("div", "controls");
    const number = (key) => (value) => app.change({ [key]: Number(value) });
    this.run = new Choice("run", "run", (run) =>
      app.change({ run, step: app.steps(run).at(-1) }),
    );
    this.sample = new Choice("sample", "sample", number("sample"));
    this.layer = new Choice("layer", "layer", (layer) =>
      app.change({ layer: Number(layer), heads: "" }),
    );
    this.head = new Choice("head", "head", (head) =>
      app.change({ head: Number(head), heads: "" }),
    );
    this.otherRun = new Choice("other-run", "with run", (otherRun) =>
      app.change({ otherRun, otherStep: app.steps(otherRun).at(-1) }),
    );
    this.otherStep = new Choice("other-step", "at", number("otherStep"));
    this.saves = group(
      "save",
      "saves",
      action("SVG", "save-svg", () => app.save("svg")),
      action("PNG", "save-png", () => app.save("png")),
    );
    this.link = action("Copy link", "link", () => app.copyLink());
    this.saves.append(this.link);
    this.element.append(
      this.run.element,
      this.stepControls(),
      this.sample.element,
      this.layer.element,
      this.head.element,
      this.viewControls(),
      this.otherRun.element,
      this.otherStep.element,
      this.saves,
      this.fileControl(),
    );
    this.update();
  }

  stepControls() {
    const { app } = this;
    this.play = action("Play", "play", () =>
      app.player ? app.stop() : app.play(),
    );
    this.slider = node("input");
    Object.assign(this.slider, { type: "range", min: 0 });
    this.slider.dataset.control = "step";
    this.slider.setAttribute("aria-label", "training step");
    this.slider.addEventListener("input", () => {
      app.change({ step: app.steps()[this.slider.value] });
      this.tellStep();
    });
    this.step = node("output");
    this.steps = group("training steps", "steps", this.play, this.slider);
    this.steps.append(this.step);
    return this.steps;
  }

  viewControls() {
    this.views = {};
    for (const [view, title] of Object.entries(VIEWS)) {
      this.views[view] = action(title, `view-${view}`, () =>
        this.app.change({ view }),
      );
    }
    this.viewGroup = group("view", "tabs", ...Object.values(this.views));
    return this.viewGroup;
  }

  fileControl() {
    const input = node("input", "file");
    Object.assign(input, { type: "file", accept: "application/json,.json" });
    input.dataset.control = "file";
    input.addEventListener("change", () => {
      this.app.openFile(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
    const name = node("label", "file-label", "Open an answer (JSON)");
    name.append(input);
    return name;
  }

  /** Shows the state of the page. */
  update() {
    const { app } = this;
    const { runs, state, index } = app;
    this.run.show(names(runs), state.run, runs.length > 0);
    this.steps.hidden = app.steps().length < 2;
    this.play.textContent = app.player ? "Pause" : "Play";
    this.slider.max = app.steps().length - 1;
    this.slider.value = Math.max(app.steps().indexOf(state.step), 0);
    this.tellStep();
    // An answer that was dropped is nowhere but on this page.
    this.link.hidden = !app.host.linkTo || app.sources.isDocument(state.run);
    this.saves.hidden = this.viewGroup.hidden = !index;
    const picks = index ? picksOf(index, state) : { samples: [], layers: [], heads: [] };
    this.sample.show(picks.samples, state.sample, index);
    this.layer.show(picks.layers, state.layer, index);
    this.head.show(picks.heads, state.head, index);
    for (const [view, button] of Object.entries(this.views)) {
      button.setAttribute("aria-pressed", String(view === state.view));
    }
    this.views.picture.hidden = !index || !hasPicture(state, index);
    const other = otherOf(state, runs);
    const compares = index && state.view === "compare";
    const steps = app.steps(other.run).map((step) => [step, `step ${step}`]);
    this.otherRun.show(names(runs), other.run, compares);
    this.otherStep.show(steps, other.step, compares);
  }

  tellStep() {
    const text = `step ${this.app.state.step}`;
    this.step.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }
}

/** One of many, in a list that folds out. */
class Choice {
  constructor(control, title, choose) {
    this.select = node("select");
    this.select.dataset.control = control;
    this.select.addEventListener("change", () => choose(this.select.value));
    this.element = node("label", "choice", title);
    this.element.append(this.select);
    this.options = "";
  }

  /** @param {Array[]} options Pairs `[value, text]`. */
  show(options, chosen, isShown) {
    this.element.hidden = !isShown;
    const key = JSON.stringify(options);
    if (key !== this.options) {
      this.options = key;
      const elements = options.map(([value, text]) => {
        const option = node("option", "", text);
        option.value = value;
        return option;
      });
      this.select.replaceChildren(...elements);
    }
    this.select.value = chosen;
  }
}

const names = (runs) => runs.map(({ name }) => [name, name]);

function picksOf(index, state) {
  const layer = index.layers[state.layer];
  const count = layer.num_heads;
  const heads = Array.from({ length: count }, (_, n) => [n, headName(layer, n)]);
  return {
    samples: index.samples.map((sample, n) => [n, `${n}: ${titleOf(sample)}`]),
    layers: index.layers.map(({ name }, n) => [n, name]),
    heads: count > 1 ? [[MEAN, "mean of heads"], ...heads] : heads,
  };
}

function titleOf({ sides, title }) {
  if (title) return sentence(title, 40);
  const texts = sides.find(({ kind }) => kind === "tokens");
  if (!texts) return "picture";
  // U+2581 stands for a blank where tokens are parts of words.
  const isSubword = texts.tokens.some((token) => token.includes("\u2581"));
  const joined = texts.tokens.join(isSubword ? "" : " ");
  return sentence(joined.replaceAll("\u2581", " ").trim(), 40);
}

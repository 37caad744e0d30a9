// The page: what is chosen, the controls, and the views of it.

import { documentOf } from "./answers.js";
import { DocumentSource } from "./documents.js";
import { label, labelsOf, sentence } from "./labels.js";
import { LineView } from "./lines.js";
import { AttentionMap } from "./map.js";
import { difference, format, meanOfHeads } from "./numbers.js";
import { drawOverview } from "./overview.js";
import { PatchView } from "./patches.js";
import { linesAsSvg, mapAsSvg, patchesAsSvg, save } from "./save.js";

const VIEWS = {
  map: "Map",
  lines: "Lines",
  picture: "Picture",
  compare: "Compare",
};
const FRAME = 400; // ms of a step that plays
const AGAIN = 10000; // ms between looks for new steps
const MEAN = -1; // stands for the mean of all heads

export class App {
  /**
   * @param {HTMLElement} element Where the page goes.
   * @param {{linkTo?: (state: object) => string}} host What is around it.
   */
  constructor(element, host) {
    this.host = host;
    this.state = { run: "", step: 0, sample: 0, layer: 0, head: 0, view: "map" };
    this.shownHeads = null; // of the lines; null is all
    this.turn = 0; // counts the drawings, so that a late answer is dropped
    this.build(element);
    this.takeDrops(element);
  }

  // The frame.

  build(element) {
    element.classList.add("attention");
    const main = node("main", "page");
    this.controls = node("div", "controls");
    this.message = node("p", "message");
    this.message.setAttribute("role", "status");
    this.overview = node("section", "overview-area");
    this.overview.setAttribute("aria-label", "layers by heads");
    this.detail = node("section", "detail");
    this.detail.setAttribute("aria-label", "attention of a head");
    const heading = node("h1", "", "Attention");
    const panes = node("div", "panes");
    panes.append(this.overview, this.detail);
    main.append(heading, this.controls, this.message, panes);
    element.replaceChildren(main);
    window.addEventListener("attention-reload", () => this.reload());
    new MutationObserver(() => this.index && this.draw()).observe(
      document.documentElement,
      { attributes: true, attributeFilter: ["data-theme"] },
    );
  }

  say(text, isError = false) {
    this.message.textContent = text;
    this.message.classList.toggle("error", isError);
  }

  /** Shows the data of a source, in the state of a link. */
  async open(source, link) {
    this.source = source;
    this.runs = [];
    try {
      this.runs = await source.runs();
    } catch (error) {
      this.say(`The runs can't be listed: ${error.message}`, true);
      return;
    }
    this.restore(link);
    await this.refresh();
    clearInterval(this.follower);
    if (source.canFollow) {
      this.follower = setInterval(() => this.reload(), AGAIN);
    }
  }

  restore(link) {
    const state = this.state;
    for (const key of ["step", "sample", "layer", "head", "otherStep"]) {
      const value = Number.parseInt(link[key], 10);
      if (Number.isFinite(value)) state[key] = value;
    }
    for (const key of ["run", "otherRun"]) {
      if (this.runs.some(({ name }) => name === link[key])) {
        state[key] = link[key];
      }
    }
    if (link.view in VIEWS) state.view = link.view;
    if (!this.runs.some(({ name }) => name === state.run)) {
      state.run = this.runs[0]?.name ?? "";
    }
    const steps = this.steps(state.run);
    if (link.step === undefined || !steps.includes(state.step)) {
      state.step = steps[steps.length - 1] ?? 0;
    }
  }

  steps(run) {
    return this.runs.find(({ name }) => name === run)?.steps ?? [];
  }

  /** Looks for new runs and steps; follows the last step if it is shown. */
  async reload() {
    if (document.hidden || !this.source) return;
    const before = JSON.stringify(this.runs);
    const wasLast = this.steps(this.state.run).at(-1) === this.state.step;
    try {
      this.runs = await this.source.runs();
    } catch {
      return; // the server is away for a moment
    }
    if (JSON.stringify(this.runs) === before) return;
    if (!this.state.run) this.restore({});
    if (wasLast) this.state.step = this.steps(this.state.run).at(-1);
    await this.refresh();
  }

  change(changes) {
    Object.assign(this.state, changes);
    return this.refresh();
  }

  // Reading what the state names.

  async refresh() {
    const turn = ++this.turn;
    const { run, step } = this.state;
    if (!this.runs.length) {
      this.overview.replaceChildren();
      this.detail.replaceChildren();
      this.drawControls();
      this.say(
        "There are no scores below the log directory yet. Fit a model with " +
          "the callback summaries.AttentionSummary, or drop the JSON of an " +
          "`explain` answer here.",
      );
      return;
    }
    try {
      const index = await this.source.index(run, step);
      const { sample } = this.state;
      const within = Math.min(sample, index.samples.length - 1);
      const thumbnails = await this.source.thumbnails(run, step, within);
      if (turn !== this.turn) return;
      this.state.sample = within;
      this.index = index;
      this.thumbnails = thumbnails;
      this.keepWithin();
      this.say("");
      await this.draw();
    } catch (error) {
      if (turn === this.turn) this.say(error.message, true);
    }
  }

  keepWithin() {
    const { state, index } = this;
    state.layer = Math.min(Math.max(state.layer, 0), index.layers.length - 1);
    const heads = index.layers[state.layer].num_heads;
    state.head = Math.min(Math.max(state.head, MEAN), heads - 1);
    if (state.view === "picture" && !this.hasPicture()) state.view = "map";
  }

  layer() {
    return this.index.layers[this.state.layer];
  }

  side(name, index = this.index) {
    const layer = index.layers[this.state.layer];
    return index.samples[this.state.sample].sides[layer[name]];
  }

  hasPicture() {
    return this.side("key").kind === "patches";
  }

  async draw() {
    const turn = ++this.turn;
    this.drawControls();
    drawOverview(
      this.overview,
      this.index,
      this.thumbnails,
      this.state,
      (layer, head) => this.change({ layer, head }),
    );
    try {
      const view = await this.makeView();
      if (turn !== this.turn) return;
      this.view = view;
      this.detail.replaceChildren(view.element);
    } catch (error) {
      if (turn === this.turn) this.say(error.message, true);
    }
  }

  // Controls.

  drawControls() {
    const focused = document.activeElement?.dataset?.control;
    const { state } = this;
    const parts = [];
    if (this.runs.length) {
      parts.push(
        choice("run", "run", this.runs.map(({ name }) => [name, name]), state.run,
          (run) => this.change({ run, step: this.steps(run).at(-1) })),
      );
    }
    if (this.index) parts.push(...this.stepControls(), ...this.pickControls());
    this.controls.replaceChildren(...parts, this.fileControl());
    if (focused) {
      this.controls.querySelector(`[data-control="${focused}"]`)?.focus();
    }
  }

  stepControls() {
    const steps = this.steps(this.state.run);
    if (steps.length < 2) return [];
    const place = Math.max(steps.indexOf(this.state.step), 0);
    const slider = node("input");
    Object.assign(slider, {
      type: "range",
      min: 0,
      max: steps.length - 1,
      value: place,
    });
    slider.dataset.control = "step";
    slider.setAttribute("aria-label", "training step");
    slider.setAttribute("aria-valuetext", `step ${this.state.step}`);
    const shown = node("output", "", `step ${this.state.step}`);
    slider.addEventListener("input", () => {
      shown.textContent = `step ${steps[slider.value]}`;
      this.change({ step: steps[slider.value] });
    });
    const play = action(this.player ? "Pause" : "Play", "play", () => {
      if (this.player) this.stop();
      else this.play();
    });
    const box = node("span", "steps");
    box.append(play, slider, shown);
    return [box];
  }

  play() {
    const steps = this.steps(this.state.run);
    const next = async () => {
      const place = steps.indexOf(this.state.step);
      if (place + 1 >= steps.length) {
        this.stop();
        return;
      }
      await this.change({ step: steps[place + 1] });
      if (this.player) this.player = setTimeout(next, FRAME);
    };
    this.player = setTimeout(next, 0);
    if (this.state.step === steps.at(-1)) this.change({ step: steps[0] });
    else this.drawControls();
  }

  stop() {
    clearTimeout(this.player);
    this.player = null;
    this.drawControls();
  }

  pickControls() {
    const { state, index } = this;
    const samples = index.samples.map((sample, number) => [
      number,
      `${number}: ${sampleTitle(sample)}`,
    ]);
    const layers = index.layers.map(({ name }, number) => [number, name]);
    const heads = Array.from(
      { length: this.layer().num_heads },
      (_, head) => [head, `head ${head}`],
    );
    if (heads.length > 1) heads.unshift([MEAN, "mean of heads"]);
    const tabs = node("span", "tabs");
    tabs.setAttribute("role", "group");
    tabs.setAttribute("aria-label", "view");
    for (const [view, title] of Object.entries(VIEWS)) {
      if (view === "picture" && !this.hasPicture()) continue;
      const tab = action(title, `view-${view}`, () => this.change({ view }));
      tab.setAttribute("aria-pressed", String(view === state.view));
      tabs.append(tab);
    }
    const picks = [
      choice("sample", "sample", samples, state.sample, (value) =>
        this.change({ sample: Number(value) })),
      choice("layer", "layer", layers, state.layer, (value) =>
        this.change({ layer: Number(value) })),
      choice("head", "head", heads, state.head, (value) =>
        this.change({ head: Number(value) })),
      tabs,
    ];
    if (state.view === "compare") picks.push(...this.otherControls());
    const saves = node("span", "saves");
    saves.append(
      action("SVG", "save-svg", () => this.save("svg")),
      action("PNG", "save-png", () => this.save("png")),
    );
    if (this.host.linkTo) {
      saves.append(action("Copy link", "link", () => this.copyLink()));
    }
    return [...picks, saves];
  }

  otherControls() {
    const other = this.other();
    const runs = this.runs.map(({ name }) => [name, name]);
    const steps = this.steps(other.run).map((step) => [step, `step ${step}`]);
    return [
      choice("other-run", "with run", runs, other.run, (otherRun) =>
        this.change({ otherRun, otherStep: this.steps(otherRun).at(-1) })),
      choice("other-step", "at", steps, other.step, (value) =>
        this.change({ otherStep: Number(value) })),
    ];
  }

  other() {
    const run = this.state.otherRun || this.state.run;
    const steps = this.steps(run);
    const step = this.state.otherStep;
    return { run, step: steps.includes(step) ? step : steps[0] };
  }

  fileControl() {
    const input = node("input");
    Object.assign(input, { type: "file", accept: "application/json,.json" });
    input.className = "file";
    input.dataset.control = "file";
    const name = node("label", "file-label", "Open an answer (JSON)");
    name.append(input);
    input.addEventListener("change", () => this.openFile(input.files[0]));
    return name;
  }

  // Views.

  async makeView() {
    const { run, step, sample, view } = this.state;
    if (view === "lines") return this.lineView();
    if (view === "picture") return this.pictureView();
    if (view === "compare") return this.compareView();
    return new AttentionMap({
      ...(await this.weights(run, step, sample, this.state.layer)),
      queries: labelsOf(this.side("query")),
      keys: labelsOf(this.side("key")),
      alignment: this.alignment(),
      title: this.title(),
    });
  }

  title() {
    const { head } = this.state;
    const name = head === MEAN ? "mean of heads" : `head ${head}`;
    const values = this.layer().diagnostics;
    const told = head === MEAN ? "" : this.told(values, head);
    return `${this.layer().name}, ${name}${told}`;
  }

  told(values, head) {
    const names = {
      entropy: "entropy",
      max_weight: "maximum",
      padding_leak: "leak",
      head_redundancy: "redundancy",
    };
    const parts = Object.entries(names)
      .filter(([key]) => values[key]?.[head] !== null)
      .map(([key, name]) => `${name} ${format(values[key]?.[head])}`);
    return parts.length ? ` (${parts.join(", ")})` : "";
  }

  /** Gold links, where they are of the tokens of this layer. */
  alignment() {
    const links = this.index.samples[this.state.sample].alignment;
    const crosses = this.layer().query !== this.layer().key;
    return links && crosses && /cross/.test(this.layer().name) ? links : [];
  }

  async weights(run, step, sample, layer) {
    const { head } = this.state;
    if (head !== MEAN) return this.source.scores(run, step, sample, layer, head);
    return meanOfHeads(await this.source.scores(run, step, sample, layer));
  }

  async lineView() {
    const { run, step, sample, layer, head } = this.state;
    const scores = await this.source.scores(run, step, sample, layer);
    const all = Array.from({ length: scores.shape[0] }, (_, n) => n);
    const heads = new Set(head === MEAN ? all : [head]);
    return new LineView({
      ...scores,
      queries: labelsOf(this.side("query")),
      keys: labelsOf(this.side("key")),
      heads,
      title: this.layer().name,
      toggle() {},
    });
  }

  async pictureView() {
    const { run, step, sample, layer } = this.state;
    const side = this.side("key");
    const rollout =
      this.index.rollout === undefined
        ? null
        : await this.source.rollout(run, step, sample);
    return new PatchView({
      ...(await this.weights(run, step, sample, layer)),
      side,
      asksPatches: this.layer().query === this.layer().key,
      address: this.source.picture(run, side.picture),
      rollout: rollout && rollout.data,
      title: this.title(),
    });
  }

  async compareView() {
    const { run, step, sample } = this.state;
    const other = this.other();
    const theirs = await this.source.index(other.run, other.step);
    const { name } = this.layer();
    const layer = theirs.layers.findIndex((each) => each.name === name);
    const element = node("div", "compare");
    if (layer < 0 || sample >= theirs.samples.length) {
      element.append(
        node("p", "", `${other.run}, step ${other.step}, has no ${name}.`),
      );
      return { element };
    }
    const sides = (index, number, kind) =>
      labelsOf(index.samples[sample].sides[index.layers[number][kind]]);
    const mapOf = async (place, index, number) =>
      new AttentionMap({
        ...(await this.weights(place.run, place.step, sample, number)),
        queries: sides(index, number, "query"),
        keys: sides(index, number, "key"),
        title: `${place.run}, step ${place.step}`,
      });
    const left = await mapOf(other, theirs, layer);
    const right = await mapOf({ run, step }, this.index, this.state.layer);
    element.append(left.element, right.element);
    const same =
      String(left.queries) === String(right.queries) &&
      String(left.keys) === String(right.keys);
    const less = same ? difference(left, right) : null;
    if (less) {
      const map = new AttentionMap({
        ...less,
        queries: right.queries,
        keys: right.keys,
        isDifference: true,
        title: "second less first",
      });
      element.append(map.element);
      return { element, map };
    }
    element.append(
      node("p", "note", "The two have other tokens, so there is no difference."),
    );
    return { element, map: right };
  }

  // Out of the page and into it.

  async save(kind) {
    const { run, step, sample } = this.state;
    const name = `${run}-${step}-${sample}-${this.layer().name}`;
    const view = this.view.map || this.view;
    let svg;
    if (view instanceof AttentionMap) svg = mapAsSvg(view);
    else if (view instanceof LineView) svg = linesAsSvg(view);
    else if (view instanceof PatchView) svg = await patchesAsSvg(view);
    else return;
    await save(svg, name, kind);
  }

  async copyLink() {
    const link = this.host.linkTo(this.state);
    try {
      await navigator.clipboard.writeText(link);
      this.say("The link is copied.");
    } catch {
      this.say(link); // where the clipboard is closed to pages
    }
  }

  takeDrops(element) {
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      element.classList.add("dropping");
    });
    element.addEventListener("dragleave", () =>
      element.classList.remove("dropping"),
    );
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      element.classList.remove("dropping");
      this.openFile(event.dataTransfer.files[0]);
    });
  }

  async openFile(file) {
    if (!file) return;
    try {
      let answer;
      try {
        answer = JSON.parse(await file.text());
      } catch (error) {
        throw new Error(`it is no JSON (${error.message})`);
      }
      const opened = documentOf(answer, label(file.name, 60));
      this.state = { ...this.state, step: 0, sample: 0, layer: 0, head: 0 };
      await this.open(new DocumentSource([opened]), {});
    } catch (error) {
      this.say(`${label(file.name, 60)} can't be shown: ${error.message}`, true);
    }
  }
}

function sampleTitle({ sides, title }) {
  if (title) return sentence(title, 40);
  const texts = sides.find(({ kind }) => kind === "tokens");
  if (!texts) return "picture";
  // U+2581 stands for a blank where tokens are parts of words.
  const isSubword = texts.tokens.some((token) => token.includes("\u2581"));
  const joined = texts.tokens.join(isSubword ? "" : " ");
  return sentence(joined.replaceAll("\u2581", " ").trim(), 40);
}

function node(name, kind = "", text = "") {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

function action(text, control, act) {
  const button = node("button", "", text);
  button.type = "button";
  button.dataset.control = control;
  button.addEventListener("click", act);
  return button;
}

function choice(control, title, options, chosen, choose) {
  const select = node("select");
  select.dataset.control = control;
  for (const [value, text] of options) {
    const option = node("option", "", text);
    option.value = value;
    option.selected = value === chosen;
    select.append(option);
  }
  select.addEventListener("change", () => choose(select.value));
  const name = node("label", "choice", title);
  name.append(select);
  return name;
}

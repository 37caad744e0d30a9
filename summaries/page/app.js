// The page: the state, the data of what it names, and where they are shown.

import { documentOf } from "./answers.js";
import { Controls } from "./controls.js";
import { DocumentSource } from "./documents.js";
import { node } from "./elements.js";
import { label } from "./labels.js";
import { Overview } from "./overview.js";
import { saveView } from "./save.js";
import { firstState, restored, stepsOf, within } from "./state.js";
import { makeView } from "./views.js";

const FRAME = 400; // ms of a step that plays
const AGAIN = 10000; // ms between looks for new steps
const NO_SCORES =
  "There are no scores below the log directory yet. Fit a model with the " +
  "callback summaries.AttentionSummary, or drop the JSON of an `explain` " +
  "answer here.";

export class App {
  /**
   * @param {HTMLElement} element Where the page goes.
   * @param {{linkTo?: (state: object) => string}} host What is around it.
   */
  constructor(element, host) {
    this.host = host;
    this.state = firstState();
    this.runs = [];
    this.turn = 0; // counts the drawings, so that a late answer is dropped
    this.player = null;
    this.build(element);
    this.takeDrops(element);
  }

  build(element) {
    element.classList.add("attention");
    this.controls = new Controls(this);
    this.message = node("p", "message");
    this.message.setAttribute("role", "status");
    this.overview = new Overview((layer, head) =>
      this.change({ layer, head, heads: "" }),
    );
    this.detail = node("section", "detail");
    this.detail.setAttribute("aria-label", "attention");
    const panes = node("div", "panes");
    panes.append(this.overview.element, this.detail);
    const main = node("main", "page");
    main.append(
      node("h1", "", "Attention"),
      this.controls.element,
      this.message,
      panes,
    );
    element.replaceChildren(main);
    window.addEventListener("attention-reload", () => this.reload());
    new MutationObserver(() => {
      this.overview.forget();
      if (this.source) this.refresh();
    }).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
  }

  say(text, isError = false) {
    this.message.textContent = text;
    this.message.classList.toggle("error", isError);
  }

  /** Shows the data of a source, in the state of a link. */
  async open(source, link) {
    try {
      this.runs = await source.runs();
    } catch (error) {
      this.say(`The runs can't be listed: ${error.message}`, true);
      return;
    }
    this.source = source;
    this.state = restored(this.state, link, this.runs);
    await this.refresh();
    clearInterval(this.follower);
    if (source.canFollow) {
      this.follower = setInterval(() => this.reload(), AGAIN);
    }
  }

  steps(run = this.state.run) {
    return stepsOf(this.runs, run);
  }

  /** Looks for new runs and steps; follows the last step if it is shown. */
  async reload() {
    if (document.hidden || !this.source) return;
    const before = JSON.stringify(this.runs);
    const wasLast = this.steps().at(-1) === this.state.step;
    try {
      this.runs = await this.source.runs();
    } catch {
      return; // the server is away for a moment
    }
    if (JSON.stringify(this.runs) === before) return;
    const { step } = this.state;
    const link = wasLast && !this.player ? {} : { step };
    this.state = restored(this.state, link, this.runs);
    await this.refresh();
  }

  change(changes) {
    Object.assign(this.state, changes);
    return this.refresh();
  }

  /** Reads what the state names, and draws it at once. */
  async refresh() {
    const turn = ++this.turn;
    if (!this.runs.length) {
      this.clear(NO_SCORES);
      return;
    }
    try {
      const { source, runs } = this;
      const { run, step } = this.state;
      const index = await source.index(run, step);
      const state = within(this.state, index);
      const shown = { source, runs, index, state };
      const [thumbnails, view] = await Promise.all([
        source.thumbnails(run, step, state.sample),
        makeView(shown, (changes) => Object.assign(this.state, changes)),
      ]);
      if (turn !== this.turn) return;
      Object.assign(this, { state, index });
      this.say("");
      this.overview.show(index, thumbnails, state);
      this.put(view);
      this.controls.update();
    } catch (error) {
      if (turn === this.turn) this.clear(error.message, true);
    }
  }

  put(view) {
    if (this.view) view.follow?.(this.view);
    this.view = view;
    this.detail.replaceChildren(view.element);
  }

  clear(text, isError = false) {
    this.index = this.view = null;
    this.overview.clear();
    this.detail.replaceChildren();
    this.controls.update();
    this.say(text, isError);
  }

  // Steps one after another.

  play() {
    const next = async () => {
      const steps = this.steps();
      const place = steps.indexOf(this.state.step) + 1;
      if (place >= steps.length) {
        this.stop();
        return;
      }
      await this.change({ step: steps[place] });
      if (this.player) this.player = setTimeout(next, FRAME);
    };
    const isLast = this.state.step === this.steps().at(-1);
    this.player = setTimeout(next, FRAME);
    this.change(isLast ? { step: this.steps()[0] } : {});
  }

  stop() {
    clearTimeout(this.player);
    this.player = null;
    this.controls.update();
  }

  // Out of the page and into it.

  async save(kind) {
    const { run, step, sample, layer } = this.state;
    const name = `${run}-${step}-${sample}-${this.index.layers[layer].name}`;
    try {
      await saveView(this.view, name, kind);
    } catch (error) {
      this.say(`The view can't be saved: ${error.message}`, true);
    }
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
    const mark = (event, isOver) => {
      event.preventDefault();
      element.classList.toggle("dropping", isOver);
    };
    element.addEventListener("dragover", (event) => mark(event, true));
    element.addEventListener("dragleave", (event) => mark(event, false));
    element.addEventListener("drop", (event) => {
      mark(event, false);
      this.openFile(event.dataTransfer.files[0]);
    });
  }

  async openFile(file) {
    if (!file) return;
    const name = label(file.name, 60);
    try {
      let answer;
      try {
        answer = JSON.parse(await file.text());
      } catch (error) {
        throw new Error(`it is no JSON (${error.message})`);
      }
      const opened = documentOf(answer, name);
      this.state = { ...firstState(), view: this.state.view };
      await this.open(new DocumentSource([opened]), {});
    } catch (error) {
      this.say(`${name} can't be shown: ${error.message}`, true);
    }
  }
}

// A picture with its patches: where one looks, the class token, rollout.

import { OVER_PICTURE, weightColor } from "./colors.js";
import { ARROWS, node } from "./elements.js";
import { format } from "./numbers.js";

const SIZE = 360; // pixels of the longer side of the picture

export class PatchView {
  /**
   * @param {object} given
   * @param {object} given.side `{picture, grid, num_prefix_tokens}`.
   * @param {string} given.address Of the picture.
   * @param {Float32Array} given.data Of one head, `(rows, columns)`.
   * @param {number[]} given.shape `[1, queries, keys]`.
   * @param {boolean} given.asksPatches Whether the queries are the patches.
   * @param {Float32Array|null} given.rollout Of all tokens, or the patches.
   * @param {string} given.title
   */
  constructor(given) {
    Object.assign(this, given);
    [this.rows, this.columns] = this.side.grid;
    this.prefix = this.side.num_prefix_tokens;
    this.at = null; // the patch that is pointed at
    this.element = node("figure", "patches");
    this.caption = node("figcaption");
    this.readout = node("output", "readout");
    this.readout.setAttribute("aria-live", "polite");
    this.element.append(
      this.caption,
      this.choices(),
      this.readout,
      this.pictures(),
    );
    this.show(this.start());
  }

  start() {
    if (this.prefix && this.asksPatches) return "class";
    return this.rollout ? "rollout" : "mean";
  }

  choices() {
    const group = node("div", "chips");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "what is shown over the picture");
    this.buttons = {};
    const kinds = {
      ...(this.prefix && this.asksPatches ? { class: "class token" } : {}),
      mean: this.asksPatches ? "mean of all queries" : "mean of the queries",
      ...(this.rollout ? { rollout: "rollout" } : {}),
    };
    for (const [kind, text] of Object.entries(kinds)) {
      const button = node("button", "chip", text);
      button.type = "button";
      button.addEventListener("click", () => this.show(kind));
      this.buttons[kind] = button;
      group.append(button);
    }
    return group;
  }

  /** The picture below the weights, and beside it as it is. */
  pictures() {
    this.picture = node("img");
    this.picture.src = this.address;
    this.picture.alt = "";
    const plain = this.picture.cloneNode();
    plain.alt = "the picture as the model saw it";
    plain.className = "plain";
    const both = node("div", "pictures");
    both.append(this.stage(), plain);
    return both;
  }

  stage() {
    const stage = node("div", "stage");
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute(
      "aria-label",
      `picture of ${this.rows} by ${this.columns} patches; arrow keys go ` +
        "from weight to weight" +
        (this.asksPatches ? ", Enter or a click shows where a patch looks" : ""),
    );
    this.overlay = node("canvas");
    Object.assign(this.overlay, { width: this.columns, height: this.rows });
    this.cursor = node("div", "mark cross");
    this.cursor.hidden = true;
    this.asked = node("div", "mark gold"); // whose attention is shown
    this.asked.hidden = true;
    const scale = SIZE / Math.max(this.rows, this.columns);
    this.scale = scale;
    stage.style.width = `${scale * this.columns}px`;
    stage.style.height = `${scale * this.rows}px`;
    stage.append(this.picture, this.overlay, this.asked, this.cursor);
    const patchAt = (event) => {
      const box = stage.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top) / scale);
      const column = Math.floor((event.clientX - box.left) / scale);
      const inside =
        row >= 0 && column >= 0 && row < this.rows && column < this.columns;
      return inside ? row * this.columns + column : null;
    };
    stage.addEventListener("pointermove", (event) => {
      const patch = patchAt(event);
      if (patch !== null) this.point(patch);
    });
    stage.addEventListener("click", (event) => {
      const patch = patchAt(event);
      if (patch !== null && this.asksPatches) this.show(patch);
    });
    stage.addEventListener("keydown", (event) => this.onKey(event));
    return stage;
  }

  /** Arrow keys point; Enter asks where the patch looks. */
  onKey(event) {
    if (event.key === "Enter" && this.asksPatches && this.at !== null) {
      this.show(this.at);
      return;
    }
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = this.at === null ? [0, 0] : this.placeOf(this.at);
    const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
    // The first key leads to a corner.
    const moved = this.at === null ? [0, 0] : step;
    this.point(
      clamp(row + moved[0], this.rows) * this.columns +
        clamp(column + moved[1], this.columns),
    );
  }

  /** @param {string|number} kind `class`, `mean`, `rollout`, or a patch. */
  show(kind) {
    this.kind = kind;
    this.weights = this.weightsOf(kind);
    this.caption.textContent = this.shown();
    for (const [name, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-pressed", String(name === kind));
    }
    const most = this.weights.reduce((a, b) => Math.max(a, b || 0), 0);
    const context = this.overlay.getContext("2d");
    const image = context.createImageData(this.columns, this.rows);
    this.weights.forEach((weight, place) => {
      const shown = Number.isNaN(weight) ? 1 : (0.85 * weight) / (most || 1);
      const color = Number.isNaN(weight) ? weightColor(NaN) : OVER_PICTURE;
      image.data.set([...color, 255 * shown], place * 4);
    });
    context.putImageData(image, 0, 0);
    this.asked.hidden = typeof kind !== "number";
    if (typeof kind === "number") this.place(this.asked, kind);
    const isNumber = this.weights.every((weight) => !Number.isNaN(weight));
    this.readout.textContent = isNumber
      ? `greatest weight ${format(most)}`
      : "some weights are no numbers (NaN)";
    if (this.at !== null) this.point(this.at);
  }

  place(element, patch) {
    const [row, column] = this.placeOf(patch);
    element.style.left = `${column * this.scale}px`;
    element.style.top = `${row * this.scale}px`;
    element.style.width = element.style.height = `${this.scale}px`;
  }

  /** Shows what another picture of the same grid showed. */
  follow({ kind, at, rows, columns, asksPatches }) {
    const isSame = rows === this.rows && columns === this.columns;
    const isHere =
      typeof kind === "number" ? asksPatches && this.asksPatches : kind in this.buttons;
    if (isSame) this.at = at;
    if (isSame && isHere) this.show(kind);
  }

  /** What is shown, for a title. */
  shown() {
    if (this.kind === "rollout") return "rollout over all layers";
    const what =
      typeof this.kind === "number"
        ? `patch ${this.placeOf(this.kind).join(", ")}`
        : this.buttons[this.kind].textContent;
    return `${this.title}: ${what}`;
  }

  placeOf(patch) {
    return [Math.floor(patch / this.columns), patch % this.columns];
  }

  /** Tells the weight of a patch. */
  point(patch) {
    this.at = patch;
    this.cursor.hidden = false;
    this.place(this.cursor, patch);
    const [row, column] = this.placeOf(patch);
    const from =
      typeof this.kind === "number"
        ? `patch ${this.placeOf(this.kind).join(", ")} → `
        : "";
    this.readout.textContent =
      `${from}patch ${row}, ${column}  ${format(this.weights[patch])}`;
  }

  /** Weights of the patches. */
  weightsOf(kind) {
    const count = this.rows * this.columns;
    if (kind === "rollout") {
      return this.rollout.slice(this.rollout.length - count);
    }
    const [, queries, keys] = this.shape;
    const rowOf = (query) =>
      this.data.slice(query * keys + this.prefix, (query + 1) * keys);
    if (kind === "class") return rowOf(0);
    if (typeof kind === "number") return rowOf(this.prefix + kind);
    const mean = new Float32Array(count);
    for (let query = 0; query < queries; query++) {
      rowOf(query).forEach((weight, n) => (mean[n] += weight / queries));
    }
    return mean;
  }
}

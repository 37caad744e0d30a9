// One map: queries down, keys across, the exact weight under the pointer.

import { differenceColor, weightColor } from "./colors.js";
import { label, tokenElement } from "./labels.js";
import { format } from "./numbers.js";

const SMALLEST_LABELLED = 9; // pixels of a cell whose label can be read

export class AttentionMap {
  /**
   * @param {object} given
   * @param {Float32Array} given.data Of one head.
   * @param {number[]} given.shape `[1, rows, columns]`.
   * @param {string[]} given.queries Labels down.
   * @param {string[]} given.keys Labels across.
   * @param {number[][]} [given.alignment] Gold links `[query, key]`.
   * @param {boolean} [given.isDifference] Weights are from -1 to 1.
   * @param {string} given.title
   */
  constructor(given) {
    Object.assign(this, { alignment: [], isDifference: false, ...given });
    [, this.rows, this.columns] = this.shape;
    this.cell = fittingCell(this.rows, this.columns);
    this.at = null;
    this.element = document.createElement("figure");
    this.element.className = "map";
    this.readout = document.createElement("output");
    this.readout.setAttribute("aria-live", "polite");
    this.readout.className = "readout";
    this.frame = document.createElement("div");
    this.frame.className = "map-frame";
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "application");
    this.frame.setAttribute(
      "aria-label",
      `${this.title}: map of ${this.rows} by ${this.columns} weights; ` +
        "arrow keys go from weight to weight, plus and minus zoom",
    );
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    this.element.append(this.caption(), this.frame, this.readout);
    this.draw();
  }

  caption() {
    const caption = document.createElement("figcaption");
    caption.textContent = this.title;
    for (const [sign, factor] of [["−", 1 / 1.5], ["+", 1.5]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.setAttribute("aria-label", factor > 1 ? "larger" : "smaller");
      button.addEventListener("click", () => this.zoom(factor));
      caption.append(" ", button);
    }
    return caption;
  }

  zoom(factor) {
    this.cell = Math.min(Math.max(this.cell * factor, 1), 64);
    this.draw();
  }

  color(weight) {
    return this.isDifference
      ? differenceColor(weight)
      : weightColor(Number.isNaN(weight) ? weight : Math.sqrt(weight));
  }

  weight(row, column) {
    return this.data[row * this.columns + column];
  }

  draw() {
    const cell = this.cell;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: this.columns, height: this.rows });
    canvas.style.width = `${cell * this.columns}px`;
    canvas.style.height = `${cell * this.rows}px`;
    const context = canvas.getContext("2d");
    const image = context.createImageData(this.columns, this.rows);
    for (let place = 0; place < this.rows * this.columns; place++) {
      image.data.set([...this.color(this.data[place]), 255], place * 4);
    }
    context.putImageData(image, 0, 0);
    const marks = document.createElement("div");
    marks.className = "marks";
    this.cross = mark("cross");
    this.cross.hidden = true;
    marks.append(
      ...this.alignment
        .filter(([row, column]) => row < this.rows && column < this.columns)
        .map(([row, column]) => this.place(mark("gold"), row, column)),
      this.cross,
    );
    const plot = document.createElement("div");
    plot.className = "plot";
    plot.append(canvas, marks);
    plot.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      this.point(
        Math.floor((event.clientY - box.top) / cell),
        Math.floor((event.clientX - box.left) / cell),
      );
    });
    plot.addEventListener("pointerleave", () => this.unpoint());
    this.frame.replaceChildren(
      this.axis(this.keys, "across"),
      this.axis(this.queries, "down"),
      plot,
    );
    this.frame.style.setProperty("--cell", `${cell}px`);
  }

  axis(tokens, direction) {
    const axis = document.createElement("div");
    axis.className = `axis ${direction}`;
    const every = Math.ceil(SMALLEST_LABELLED / this.cell);
    for (let place = 0; place < tokens.length; place += every) {
      const element = tokenElement("span", tokens[place], 20);
      element.style.setProperty("--place", place);
      axis.append(element);
    }
    return axis;
  }

  place(element, row, column) {
    element.style.left = `${column * this.cell}px`;
    element.style.top = `${row * this.cell}px`;
    element.style.width = element.style.height = `${this.cell}px`;
    return element;
  }

  point(row, column) {
    if (row < 0 || column < 0 || row >= this.rows || column >= this.columns) {
      return;
    }
    this.at = [row, column];
    this.cross.hidden = false;
    this.place(this.cross, row, column);
    const linked = this.alignment.some(
      ([query, key]) => query === row && key === column,
    );
    this.readout.textContent =
      `${label(this.queries[row])} → ${label(this.keys[column])}  ` +
      `${format(this.weight(row, column))}${linked ? "  aligned" : ""}`;
  }

  unpoint() {
    this.at = null;
    this.cross.hidden = true;
    this.readout.textContent = "";
  }

  onKey(event) {
    const step = {
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
    }[event.key];
    if (step) {
      // The first step leads to a corner.
      const [row, column] = this.at || [-step[0], -step[1]];
      const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
      this.point(
        clamp(row + step[0], this.rows),
        clamp(column + step[1], this.columns),
      );
    } else if (event.key === "+") {
      this.zoom(1.5);
    } else if (event.key === "-") {
      this.zoom(1 / 1.5);
    } else if (event.key === "Escape") {
      this.unpoint();
    } else {
      return;
    }
    event.preventDefault();
  }
}

function mark(kind) {
  const element = document.createElement("div");
  element.className = `mark ${kind}`;
  return element;
}

/** Pixels of a cell, so that the map fits beside its labels. */
function fittingCell(rows, columns) {
  return Math.min(Math.max(Math.floor(560 / Math.max(rows, columns)), 2), 36);
}

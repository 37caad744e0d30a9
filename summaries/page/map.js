// One map: queries down, keys across, the exact weight under the pointer.

import { colorsOf, legend } from "./colors.js";
import { ARROWS, node } from "./elements.js";
import { isolated, tokenElement } from "./labels.js";
import { format } from "./numbers.js";

const SMALLEST_LABELLED = 11; // pixels of a cell whose label can be read
const ZOOM = 1.5;

export class AttentionMap {
  /**
   * @param {object} given
   * @param {Float32Array} given.data Of one head.
   * @param {number[]} given.shape `[1, rows, columns]`.
   * @param {string[]} given.queries Labels down.
   * @param {string[]} given.keys Labels across.
   * @param {number[][]} [given.alignment] Gold links `[query, key]`.
   * @param {boolean} [given.isDifference] Weights are from -1 to 1.
   * @param {number} [given.size] Pixels of the longer side, at first.
   * @param {string} given.title
   */
  constructor(given) {
    const usual = { alignment: [], isDifference: false, size: 560 };
    Object.assign(this, { ...usual, ...given });
    [, this.rows, this.columns] = this.shape;
    this.cell = fittingCell(this.size, this.rows, this.columns);
    this.at = null; // row and column that are pointed at
    this.onPoint = () => {};
    this.element = node("figure", "map");
    this.readout = node("output", "readout");
    this.readout.setAttribute("aria-live", "polite");
    this.frame = node("div", "map-frame scrolls");
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "application");
    this.frame.setAttribute(
      "aria-label",
      `${this.title}: map of ${this.rows} by ${this.columns} weights; ` +
        "arrow keys go from weight to weight, plus and minus zoom",
    );
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    this.element.append(this.caption(), this.readout, this.frame);
    this.draw();
  }

  caption() {
    const caption = node("figcaption", "", this.title);
    for (const [sign, title, factor] of [
      ["−", "smaller", 1 / ZOOM],
      ["+", "larger", ZOOM],
    ]) {
      const button = node("button", "", sign);
      button.type = "button";
      button.setAttribute("aria-label", title);
      button.addEventListener("click", () => this.zoom(factor));
      caption.append(" ", button);
    }
    caption.append(" ", legend(this.isDifference));
    if (this.alignment.length) {
      caption.append(" ", node("span", "legend gold-legend", "gold alignment"));
    }
    return caption;
  }

  zoom(factor) {
    this.cell = Math.min(Math.max(this.cell * factor, 1), 64);
    this.draw();
    this.show(this.at);
  }

  weight(row, column) {
    return this.data[row * this.columns + column];
  }

  draw() {
    if (!this.rows || !this.columns) {
      const text = "There is no token here, so there is no weight.";
      this.frame.replaceChildren(node("p", "note", text));
      return;
    }
    this.canvas = node("canvas");
    paint(this.canvas, this);
    this.canvas.style.width = `${this.cell * this.columns}px`;
    this.canvas.style.height = `${this.cell * this.rows}px`;
    this.cross = node("div", "mark cross");
    this.cross.hidden = true;
    const marks = node("div", "marks");
    marks.append(
      ...this.alignment
        .filter(([row, column]) => row < this.rows && column < this.columns)
        .map(([row, column]) => this.place(node("div", "mark gold"), row, column)),
      this.cross,
    );
    const plot = node("div", "plot");
    plot.append(this.canvas, marks);
    plot.addEventListener("pointermove", (event) => this.point(this.under(event)));
    plot.addEventListener("pointerleave", () => this.point(null));
    this.frame.style.setProperty("--cell", `${this.cell}px`);
    this.frame.replaceChildren(
      this.axis(this.keys, "across"),
      this.axis(this.queries, "down"),
      plot,
    );
  }

  axis(tokens, direction) {
    const axis = node("div", `axis ${direction}`);
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

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / this.cell);
    const column = Math.floor((event.clientX - box.left) / this.cell);
    const isInside =
      row >= 0 && column >= 0 && row < this.rows && column < this.columns;
    return isInside ? [row, column] : this.at;
  }

  /** Shows the weight at `[row, column]`, or none, here and in what follows. */
  point(at) {
    this.show(at);
    this.onPoint(at);
  }

  show(at) {
    if (!this.cross) return; // nothing is drawn
    this.at = at;
    this.cross.hidden = at === null;
    this.readout.textContent = "";
    if (at === null) return;
    const [row, column] = at;
    this.place(this.cross, row, column);
    const isGold = this.alignment.some(
      ([query, key]) => query === row && key === column,
    );
    this.readout.textContent =
      `${isolated(this.queries[row])} → ${isolated(this.keys[column])}  ` +
      `${format(this.weight(row, column))}${isGold ? "  aligned" : ""}`;
  }

  /** Goes on where another map of the same size was. */
  follow({ cell, at, rows, columns }) {
    if (rows !== this.rows || columns !== this.columns) return;
    if (cell !== this.cell) this.zoom(cell / this.cell);
    this.show(at);
  }

  onKey(event) {
    const step = ARROWS[event.key];
    if (step) {
      // The first step leads to a corner.
      const [row, column] = this.at || [-step[0], -step[1]];
      const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
      this.point([
        clamp(row + step[0], this.rows),
        clamp(column + step[1], this.columns),
      ]);
      this.cross.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else if (event.key === "+") {
      this.zoom(ZOOM);
    } else if (event.key === "-") {
      this.zoom(1 / ZOOM);
    } else if (event.key === "Escape") {
      this.point(null);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** Paints a map on a canvas, a pixel a weight. */
export function paint(canvas, { data, rows, columns, isDifference }, scheme) {
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const colorOf = colorsOf(isDifference, scheme);
  for (let place = 0; place < rows * columns; place++) {
    pixels[place] = colorOf(data[place]);
  }
  context.putImageData(image, 0, 0);
}

/** Pixels of a cell, so that the map fits beside its labels. */
function fittingCell(size, rows, columns) {
  const cell = Math.floor(size / Math.max(rows, columns));
  return Math.min(Math.max(cell, 2), 36);
}

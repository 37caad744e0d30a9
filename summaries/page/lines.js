// Lines between the tokens that ask and those that are looked at.

import { headColor } from "./colors.js";
import { node, svgElement } from "./elements.js";
import { tokenElement } from "./labels.js";

const ROW = 22; // pixels between tokens
const WIDTH = 260; // of the lines
const WEAKEST = 0.02; // no line below
const MOST_LINES = 4000;

export class LineView {
  /**
   * @param {object} given `{data, shape, queries, keys, heads, nameOf, title}`;
   *   `data` has all heads, `heads` is the set of those shown.
   * @param {(heads: Set<number>) => void} given.choose Told of other heads.
   */
  constructor(given) {
    Object.assign(this, given);
    this.element = node("figure", "lines");
    const caption = node(
      "figcaption",
      "",
      `${this.title}: point at a word to see where it looks`,
    );
    this.element.append(caption, this.chips());
    if (this.data.some(Number.isNaN)) {
      const text = "Weights that are no numbers (NaN) have no line.";
      this.element.append(node("p", "note", text));
    }
    this.element.append(this.plot());
    this.show(null, null);
  }

  chips() {
    const [count] = this.shape;
    const chips = node("div", "chips");
    chips.setAttribute("role", "group");
    chips.setAttribute("aria-label", "heads");
    for (let head = 0; head < count; head++) {
      const chip = node("button", "chip", this.nameOf(head));
      chip.type = "button";
      chip.style.setProperty("--color", headColor(head, count));
      chip.setAttribute("aria-pressed", String(this.heads.has(head)));
      chip.addEventListener("click", () => {
        if (this.heads.has(head)) this.heads.delete(head);
        else this.heads.add(head);
        chip.setAttribute("aria-pressed", String(this.heads.has(head)));
        this.show(this.row, this.column);
        this.choose(this.heads);
      });
      chips.append(chip);
    }
    return chips;
  }

  plot() {
    const plot = node("div", "lines-plot scrolls");
    this.left = this.list("queries", this.queries, (n) => this.show(n, null));
    this.right = this.list("keys", this.keys, (n) => this.show(null, n));
    const height = ROW * Math.max(this.queries.length, this.keys.length);
    this.svg = svgElement("svg", { width: WIDTH, height });
    this.svg.setAttribute("aria-hidden", "true");
    plot.append(this.left, this.svg, this.right);
    plot.addEventListener("pointerleave", () => this.show(null, null));
    return plot;
  }

  list(kind, tokens, point) {
    const list = node("ol", `words ${kind}`);
    tokens.forEach((token, number) => {
      const item = node("li");
      const button = tokenElement("button", token);
      button.type = "button";
      button.addEventListener("pointerenter", () => point(number));
      button.addEventListener("focus", () => point(number));
      item.append(button);
      list.append(item);
    });
    return list;
  }

  /** Goes on where other lines of the same size were. */
  follow({ row, column, shape }) {
    if (String(shape) === String(this.shape)) this.show(row, column);
  }

  /** Shows the lines of one query or one key, or all if both are null. */
  show(row, column) {
    Object.assign(this, { row, column });
    const [, rows, columns] = this.shape;
    const found = [];
    for (const head of this.heads) {
      for (let t = row ?? 0; t < (row === null ? rows : row + 1); t++) {
        const first = column ?? 0;
        const end = column === null ? columns : column + 1;
        for (let s = first; s < end; s++) {
          const weight = this.data[(head * rows + t) * columns + s];
          if (weight >= WEAKEST) found.push([weight, head, t, s]);
        }
      }
    }
    if (found.length > MOST_LINES) {
      found.sort((left, right) => right[0] - left[0]);
      found.length = MOST_LINES;
    }
    const groups = new Map(); // one path for many lines of one look
    for (const [weight, head, t, s] of found) {
      const level = Math.max(1, Math.round(weight * 12));
      const key = head * 16 + level;
      const [y1, y2] = [(t + 0.5) * ROW, (s + 0.5) * ROW];
      const bend = WIDTH / 2;
      const path = `M0 ${y1}C${bend} ${y1} ${bend} ${y2} ${WIDTH} ${y2}`;
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(path);
    }
    this.groups = groups;
    this.svg.replaceChildren(...this.paths());
    this.shade(this.right, row, (s) => this.strongest(row, s));
    this.shade(this.left, column, (t) => this.strongest(t, column));
    this.mark(this.left, row);
    this.mark(this.right, column);
  }

  /** The lines that are shown, as SVG elements. */
  paths(scheme) {
    return Array.from(this.groups, ([key, paths]) => {
      const level = key % 16;
      return svgElement("path", {
        d: paths.join(""),
        fill: "none",
        stroke: headColor(Math.floor(key / 16), this.shape[0], scheme),
        "stroke-opacity": (0.15 + (0.85 * level) / 12).toFixed(2),
        "stroke-width": (0.6 + level / 5).toFixed(2),
      });
    });
  }

  /** The greatest weight of a pair over the heads shown. */
  strongest(row, column) {
    const [, rows, columns] = this.shape;
    let most = 0;
    for (const head of this.heads) {
      const weight = this.data[(head * rows + row) * columns + column];
      if (weight > most) most = weight;
    }
    return most;
  }

  /** Colours the words; those that stay as they are, are left alone. */
  shade(list, chosen, weightOf) {
    for (const [number, button] of this.buttonsOf(list).entries()) {
      const weight = chosen === null ? 0 : weightOf(number);
      const shown = weight < WEAKEST ? "" : weight.toFixed(3);
      if (button.style.getPropertyValue("--weight") !== shown) {
        button.style.setProperty("--weight", shown);
      }
    }
  }

  mark(list, chosen) {
    list.querySelector(".pointed")?.classList.remove("pointed");
    if (chosen !== null) this.buttonsOf(list)[chosen].classList.add("pointed");
  }

  buttonsOf(list) {
    return Array.from(list.children, (item) => item.firstChild);
  }
}

// Data that are in the page itself, such as an answer that was dropped on it.

export class Documents {
  constructor() {
    this.documents = new Map(); // by their names
  }

  /** Takes what `documentOf` in answers.js gave; gives the name of its run. */
  add(document) {
    let { name } = document;
    for (let n = 2; this.documents.has(name); n++) {
      name = `${document.name} (${n})`;
    }
    this.documents.set(name, document);
    return name;
  }

  has(run) {
    return this.documents.has(run);
  }

  runs() {
    return Array.from(this.documents.keys(), (name) => ({ name, steps: [0] }));
  }

  async index(run) {
    return this.documents.get(run).index;
  }

  async thumbnails(run, step, sample) {
    return this.documents.get(run).samples[sample].thumbnails;
  }

  async scores(run, step, sample, layer, head = null) {
    const whole = this.documents.get(run).samples[sample].scores[layer];
    if (head === null) return whole;
    const [, rows, columns] = whole.shape;
    const size = rows * columns;
    return {
      data: whole.data.subarray(head * size, (head + 1) * size),
      shape: [1, rows, columns],
    };
  }

  async rollout(run, step, sample) {
    return this.documents.get(run).samples[sample].rollout;
  }

  picture(run, name) {
    return this.documents.get(run).pictures[name];
  }
}

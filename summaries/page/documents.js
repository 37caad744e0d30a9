// Data that are in the page itself, such as an answer that was dropped on it.

export class DocumentSource {
  /** @param {object[]} documents As `documentOf` in answers.js gives them. */
  constructor(documents) {
    this.documents = documents;
    this.canFollow = false;
  }

  async runs() {
    return this.documents.map(({ name }) => ({ name, steps: [0] }));
  }

  async index(run) {
    return this.find(run).index;
  }

  async thumbnails(run, step, sample) {
    return this.find(run).samples[sample].thumbnails;
  }

  async scores(run, step, sample, layer, head = null) {
    const whole = this.find(run).samples[sample].scores[layer];
    if (head === null) return whole;
    const [, rows, columns] = whole.shape;
    const size = rows * columns;
    return {
      data: whole.data.subarray(head * size, (head + 1) * size),
      shape: [1, rows, columns],
    };
  }

  async rollout(run, step, sample) {
    return this.find(run).samples[sample].rollout;
  }

  picture(run, name) {
    return this.find(run).pictures[name];
  }

  find(run) {
    return this.documents.find(({ name }) => name === run);
  }
}

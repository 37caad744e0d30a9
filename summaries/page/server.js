// Data from the routes of summaries/plugin.py.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };

/** An array with its shape. */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(
    new TextDecoder().decode(new Uint8Array(buffer, 4, length)),
  );
  let offset = 4 + length;
  return header.map(({ dtype, shape }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const data = new ARRAYS[dtype](buffer, offset, count);
    offset += Math.ceil(data.byteLength / 4) * 4;
    return { data, shape };
  });
}

export class ServerSource {
  /** @param {string} base Address before the names of the routes. */
  constructor(base) {
    this.base = base;
    this.kept = new Map(); // the last answers, the latest last
    this.canFollow = true; // new steps may come
  }

  async runs() {
    const { runs } = await (await this.ask("runs", {})).json();
    return runs;
  }

  index(run, step) {
    return this.keep("step", { run, step }, (answer) => answer.json());
  }

  thumbnails(run, step, sample) {
    return this.arrays("thumbnails", { run, step, sample });
  }

  /** `{data, shape: [heads, queries, keys]}` of a layer or one head of it. */
  async scores(run, step, sample, layer, head = null) {
    const asked = { run, step, sample, layer };
    if (head !== null) asked.head = head;
    return (await this.arrays("scores", asked))[0];
  }

  async rollout(run, step, sample) {
    return (await this.arrays("rollout", { run, step, sample }))[0];
  }

  picture(run, name) {
    return `${this.base}picture?${new URLSearchParams({ run, name })}`;
  }

  arrays(route, asked) {
    return this.keep(route, asked, async (answer) =>
      unpack(await answer.arrayBuffer()),
    );
  }

  keep(route, asked, read) {
    const key = `${route}?${new URLSearchParams(asked)}`;
    let answer = this.kept.get(key);
    if (answer) {
      this.kept.delete(key);
    } else {
      answer = this.ask(route, asked).then(read);
      answer.catch(() => this.kept.delete(key));
    }
    this.kept.set(key, answer);
    if (this.kept.size > 40) this.kept.delete(this.kept.keys().next().value);
    return answer;
  }

  async ask(route, asked) {
    const address = `${this.base}${route}?${new URLSearchParams(asked)}`;
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
}

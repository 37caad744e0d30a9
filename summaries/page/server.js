// Data from the routes of summaries/plugin.py.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };

const MOST_KEPT = 40;
const MOST_BYTES = 2 ** 27;

/** Arrays with their shapes. */
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
    this.bytes = new Map(); // of each of them that is large
    this.changed = new Map(); // when each run was
  }

  async runs() {
    const { runs } = await (await this.ask("runs", {})).json();
    this.changed = new Map(runs.map(({ name, changed }) => [name, changed]));
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
    return this.keep(route, asked, async (answer, key) => {
      const buffer = await answer.arrayBuffer();
      this.bytes.set(key, buffer.byteLength);
      return unpack(buffer);
    });
  }

  /** The answer, kept until the run changes or there are too many. */
  keep(route, asked, read) {
    const key = JSON.stringify([route, asked, this.changed.get(asked.run)]);
    let answer = this.kept.get(key);
    if (answer) {
      this.kept.delete(key);
    } else {
      answer = this.ask(route, asked).then((found) => read(found, key));
      answer.catch(() => this.kept.delete(key));
    }
    this.kept.set(key, answer);
    for (const oldest of this.kept.keys()) {
      const bytes = Array.from(this.bytes.values()).reduce((a, b) => a + b, 0);
      if (this.kept.size <= MOST_KEPT && bytes <= MOST_BYTES) break;
      if (oldest === key) break;
      this.kept.delete(oldest);
      this.bytes.delete(oldest);
    }
    return answer;
  }

  async ask(route, asked) {
    const address = `${this.base}${route}?${new URLSearchParams(asked)}`;
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
}

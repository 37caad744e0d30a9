// All runs of the page: those of a server, and answers that were dropped.

import { Documents } from "./documents.js";

export class Sources {
  /** @param {object} [server] A `ServerSource`. */
  constructor(server = null) {
    this.server = server;
    this.documents = new Documents();
    this.ofServer = [];
  }

  /** Asks the server anew; throws if it does not answer. */
  async update() {
    if (this.server) this.ofServer = await this.server.runs();
  }

  runs() {
    return [...this.documents.runs(), ...this.ofServer];
  }

  /** What has the data of a run. */
  of(run) {
    return this.documents.has(run) ? this.documents : this.server;
  }

  isDocument(run) {
    return this.documents.has(run);
  }
}

/**
 * The event stream, read by fetch(): EventSource can't send the token's header.
 *
 * It goes on by itself: after a loss it asks again, with ever longer pauses, and says in `Last-Event-ID` what it had.
 * A server that says nothing for longer than its own heartbeat is taken for lost. Nothing is guaranteed to arrive twice
 * or once: a status replaces the one before, and a reload has a number.
 */

const SHORTEST = 500;
const LONGEST = 15e3;
const SILENCE = 40e3; // the server's heartbeat comes every 15 s

/**
 * The events in a text that comes in pieces.
 * @param {(event: {id: string | null, type: string, data: string}) => void} told
 */
export function parser(told) {
  let rest = "";
  let event = { id: null, type: "message", data: [] };
  const line = (text) => {
    if (text === "") {
      if (event.data.length) told({ ...event, data: event.data.join("\n") });
      event = { id: null, type: "message", data: [] };
    } else if (!text.startsWith(":")) {
      const at = text.indexOf(":");
      const [name, value] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1).replace(/^ /, "")];
      if (name === "data") event.data.push(value);
      else if (name === "event") event.type = value;
      else if (name === "id") event.id = value;
    }
  };
  return (piece) => {
    const text = rest + piece;
    const cut = text.endsWith("\r") ? text.length - 1 : text.length; // the other half of it may come next
    const lines = text.slice(0, cut).split(/\r\n|\n|\r/);
    rest = lines.pop() + text.slice(cut);
    lines.forEach(line);
  };
}

export class Stream {
  /**
   * @param {import("./api.js").Api} api
   * @param {{event: (type: string, data: any) => void, live: () => void, missing: () => void, lost: (retryAt: number) => void}} listener
   */
  constructor(api, listener) {
    this.api = api;
    this.listener = listener;
    this.last = null;
    this.tries = 0;
    this.ended = false;
  }

  start() {
    this.#run();
    return this;
  }

  /** No more events; a request that is open is dropped. */
  close() {
    this.ended = true;
    this.abort?.abort();
    clearTimeout(this.timer);
    this.wake?.();
  }

  /** Ask again at once, as when the network is back. */
  hurry() {
    this.wake?.();
  }

  async #run() {
    while (!this.ended) {
      const fatal = await this.#once();
      if (this.ended || fatal) return;
      const pause = Math.min(LONGEST, SHORTEST * 2 ** this.tries++) * (0.75 + Math.random() / 2);
      this.listener.lost(Date.now() + pause);
      await new Promise((resolve) => {
        this.wake = resolve;
        this.timer = setTimeout(resolve, pause);
      });
      clearTimeout(this.timer);
    }
  }

  /** Until the stream ends, however; true if asking again is of no use. */
  async #once() {
    this.abort = new AbortController();
    const watchdog = new Watchdog(SILENCE, () => this.abort.abort());
    try {
      const more = this.last === null ? {} : { "Last-Event-ID": this.last };
      const headers = this.api.headers({ Accept: "text/event-stream", ...more });
      const response = await fetch(this.api.url("events"), { headers, cache: "no-store", signal: this.abort.signal });
      if (response.status === 401) this.api.refused(null);
      if (response.status === 404) this.listener.missing();
      if (!response.ok || !response.body) return response.status === 401;
      const parse = parser((event) => this.#told(event));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        watchdog.fed();
        parse(piece.value);
      }
    } catch {
      // lost; it is asked for again
    } finally {
      watchdog.end();
    }
    return false;
  }

  #told({ id, type, data }) {
    if (this.ended) return;
    if (id !== null) this.last = id;
    this.tries = 0;
    this.listener.live();
    this.listener.event(type, JSON.parse(data));
  }
}

class Watchdog {
  constructor(patience, bark) {
    [this.patience, this.bark] = [patience, bark];
    this.fed();
  }

  fed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.bark, this.patience);
  }

  end() {
    clearTimeout(this.timer);
  }
}

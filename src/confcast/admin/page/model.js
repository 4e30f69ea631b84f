/**
 * What the page knows of the owner that is chosen, and how it is kept up to date: one question each at the start, then
 * the event stream. Views read `state`, and never ask the server for what stands in it.
 */

import { Api, Problem } from "./api.js";
import { Stream } from "./stream.js";

const KEPT = 200; // reloads in the timeline
const KEY = "confcast-token";
const CONFIG_PAUSE = 500;

const EMPTY = {
  status: null,
  events: null,
  versions: null,
  config: null, // {version, values, left_out}
  configProblem: null,
  configIsOld: false, // the sources, an override or the version have changed since
  fleet: null,
  live: { state: "connecting", since: 0, retryAt: 0 },
  gone: null, // since when the owner does not answer, in seconds since 1970
};

export class Model {
  /** @param {() => void} changed called after whatever has changed */
  constructor(changed) {
    this.changed = changed;
    this.state = { session: null, owners: [], owner: "", signInProblem: "", ...EMPTY };
    this.asked = new Map(); // what is being asked for; true: it is to be asked for once more
  }

  get mayWrite() {
    return Boolean(this.state.session?.may_write);
  }

  /** The newest number that was given out, which a change has to name: that of a version on trial, while one is. */
  get newest() {
    const { status } = this.state;
    return status ? (status.trial?.version ?? status.version) : 0;
  }

  /** The token of an earlier page of this tab, if there is one. */
  async resume() {
    const token = sessionStorage.getItem(KEY);
    if (token) await this.signIn(token);
  }

  /** Take the token, if the server knows it. @param {string} token */
  async signIn(token) {
    const api = new Api(token, () => this.signOut("The server does not know this token any more: sign in again."));
    try {
      const session = await new Api(token, () => {}).get("session");
      this.api = api;
      sessionStorage.setItem(KEY, token);
      const { owners } = await api.get("owners");
      this.#set({ session, signInProblem: "" });
      await this.#found(owners);
    } catch (problem) {
      if (problem.status === 401) sessionStorage.removeItem(KEY);
      this.#set({ signInProblem: refusal(problem) });
    }
  }

  signOut(why = "") {
    sessionStorage.removeItem(KEY);
    this.stream?.close();
    this.api = null;
    this.#set({ session: null, owners: [], owner: "", ...EMPTY, signInProblem: why });
  }

  /** Show another owner. @param {string} id */
  async choose(id) {
    this.stream?.close();
    this.api.owner = id;
    this.#set({ owner: id, ...EMPTY });
    this.stream = new Stream(this.api, {
      event: (type, data) => this.#event(type, data),
      live: () => this.#live(),
      missing: () => this.#missing(),
      lost: (retryAt) => this.#lost(retryAt),
    }).start();
    await Promise.all([this.load("events"), this.load("versions"), this.load("fleet")]);
  }

  async #found(owners) {
    this.#set({ owners });
    const former = owners.find((each) => each.id === this.state.owner);
    if (owners.length) await this.choose((former ?? owners[0]).id);
  }

  /** Look again which owners there are, as when there was none. */
  async look() {
    try {
      await this.#found((await this.api.get("owners")).owners);
    } catch (problem) {
      this.#set({ signInProblem: refusal(problem) });
    }
  }

  /**
   * Ask for one of the lists; what is not answered stays as it was, and the stream says why.
   * @param {"status" | "events" | "versions" | "fleet" | "config"} what
   */
  async load(what) {
    if (this.asked.has(what)) {
      this.asked.set(what, true); // what is asked for by now may be older than what has happened
      return;
    }
    this.asked.set(what, false);
    let again;
    try {
      await this.#load(what);
    } finally {
      again = this.asked.get(what);
      this.asked.delete(what);
    }
    if (again && this.api) await this.load(what);
  }

  async #load(what) {
    const { owner } = this.state;
    try {
      const found = await this.#answer(what);
      if (owner === this.state.owner) this.#set(found);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (what === "config" && owner === this.state.owner) this.#set({ configProblem: problem });
      if (problem.status === 503 && this.state.gone === null) this.#set({ gone: Date.now() / 1000 });
    }
  }

  /** What a change by this page may have changed. The status comes by the stream, unless that is lost. */
  afterChange() {
    for (const what of this.state.live.state === "live" ? ["versions"] : ["status", "versions", "events"]) this.load(what);
  }

  async #answer(what) {
    if (what === "status") return { status: await this.api.get("status"), gone: null };
    if (what === "events") return { events: together(await this.api.get("history", { limit: KEPT }), this.state.events) };
    if (what === "versions") return { versions: (await this.api.get("versions")).versions };
    if (what === "fleet") return { fleet: (await this.api.get("fleet")).fleet };
    this.#set({ configIsOld: false });
    return { config: await this.api.get("config"), configProblem: null };
  }

  /**
   * For a view that shows all keys: have them, and have them again when they are old. An owner needs a moment for it, so
   * it is asked once at a time, and not for each of many changes.
   */
  async wantConfig() {
    const { owner, config, configProblem, configIsOld } = this.state;
    if (this.asksConfig || !owner || ((config || configProblem) && !configIsOld)) return;
    this.asksConfig = true;
    await this.load("config");
    setTimeout(() => {
      this.asksConfig = false;
      this.changed(); // the view asks again if it is open, and they are old by now
    }, CONFIG_PAUSE);
  }

  #event(type, data) {
    if (type === "hello" || type === "status") this.#status(type === "hello" && data.status ? data.status : data, type);
    else if (type === "reload") this.#reloaded(data);
    else if (type === "gap") this.load("events");
    else if (type === "owner") this.#owner(data.state);
  }

  #status(status, type) {
    const before = this.state.status;
    this.#set({ status, gone: null });
    const moved = before && (before.version !== status.version || before.digest !== status.digest);
    const settled = before && (before.provisional !== status.provisional || before.phase !== status.phase);
    if (moved || (settled && status.phase === "idle")) this.load("versions");
    if (type === "hello" && before) this.load("events"); // what came while the stream was lost
    if (before && differs(before, status)) this.#set({ configIsOld: true });
  }

  #reloaded(event) {
    this.#set({ events: together({ events: [event] }, this.state.events) });
  }

  #owner(state) {
    if (state === "gone") this.#set({ gone: this.state.gone ?? Date.now() / 1000 });
    else {
      this.#set({ gone: null });
      for (const what of ["events", "versions"]) this.load(what);
    }
  }

  /** The owner has ended for good, as with a server that has another one now: no other is shown in its place unasked. */
  async #missing() {
    this.#set({ gone: this.state.gone ?? Date.now() / 1000 });
    try {
      this.#set({ owners: (await this.api.get("owners")).owners });
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
    }
  }

  #live() {
    if (this.state.live.state !== "live") this.#set({ live: { state: "live", since: Date.now() / 1000, retryAt: 0 } });
  }

  #lost(retryAt) {
    const since = this.state.live.state === "lost" ? this.state.live.since : Date.now() / 1000;
    this.#set({ live: { state: "lost", since, retryAt: retryAt / 1000 } });
  }

  #set(more) {
    Object.assign(this.state, more);
    this.changed();
  }
}

/** Both lists as one, the newest first: an answer may be older than what the stream has told meanwhile. */
function together({ events }, known) {
  const id = (each) => `${each.timestamp} ${each.version} ${each.result} ${each.origin}`;
  const all = new Map([...(known ?? []), ...events].map((each) => [id(each), each]));
  return [...all.values()].sort((a, b) => b.timestamp - a.timestamp).slice(0, KEPT);
}

/** Whether values or their origins may be others than before. */
function differs(before, now) {
  const seen = (status) => JSON.stringify([status?.version, status?.digest, status?.disk, status?.overrides, status?.pending, status?.held]);
  return seen(before) !== seen(now);
}

function refusal(problem) {
  if (problem.status === 401) return "The server does not know this token.";
  if (problem.status === 429) return `Too many wrong tokens came from here. Try again in ${problem.body.retryAfter || "some"} s.`;
  return problem.message;
}

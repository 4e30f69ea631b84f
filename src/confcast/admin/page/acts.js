/**
 * What a person can have done: each is one request, with the version that this person has seen, so that nothing is
 * changed that somebody else has changed meanwhile. The answer, a refusal and a conflict all become an outcome to show.
 */

import { Problem } from "./api.js";
import { ask } from "./parts/dialog.js";
import { seconds } from "./format.js";

/** @typedef {{where: string, act: string, path: string, body: any, seen: number, event: any, problem: Problem | null}} Outcome */

const REASON = { name: "reason", label: "Why", hint: "It stands in the history." };
const WINDOW = {
  name: "confirm_within",
  label: "Undo it unless it is confirmed within",
  hint: "As 90s, 10m, 2h. Empty: it stays.",
  check: (text) => (Number.isNaN(seconds(text)) ? `“${text}” is no duration: write 90s, 10m or 2h.` : ""),
};
const CANARY = {
  name: "canary",
  label: "Try it first in",
  hint: "So many workers, as 1, or a share of them, as 25%. Empty: as the server does it.",
  check: (text) => (text.trim() && !/^\s*([1-9]\d*|[1-9]\d?%)\s*$/.test(text) ? `“${text}” is no number of workers, and no share of them: write 1 or 25%.` : ""),
};

export class Acts {
  /** @param {import("./app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Outcome | null} */
    this.outcome = null;
    this.busy = "";
  }

  /** Why nothing can be changed now, for a button; empty if it can. */
  get off() {
    const { session, gone, status } = this.app.model.state;
    if (!session?.may_write) return "this token may only read";
    if (gone !== null) return "the owner does not answer";
    if (!status) return "the owner has not answered yet";
    return this.busy ? "another change is under way" : "";
  }

  /**
   * Have it done.
   * @param {string} act in words, as "Roll back to version 11"
   * @param {string} path
   * @param {any} body
   * @param {{seen?: number, where?: string}} [how] `where`: the view that shows the outcome by itself
   */
  async run(act, path, body, { seen = this.app.model.newest, where = "" } = {}) {
    const { model } = this.app;
    this.busy = act;
    this.app.redraw();
    /** @type {Outcome} */
    const outcome = { where, act, path, body, seen, event: null, problem: null };
    try {
      outcome.event = (await model.api.post(path, body, path === "check" ? null : seen, model.state.status?.answers_within ?? 0)).event;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      outcome.problem = problem;
    }
    this.busy = "";
    this.outcome = outcome;
    if (path !== "check") model.afterChange();
    this.app.redraw();
    this.app.focusOutcome();
    return outcome;
  }

  dismiss() {
    this.outcome = null;
    this.app.redraw();
  }

  /** The same once more, on what runs by now. */
  again() {
    const { act, path, body, where } = this.outcome;
    return this.run(act, path, body, { where });
  }

  /** The same once more, with guards that may trip. @param {string[]} guards */
  allowing(guards) {
    const { act, path, body, where } = this.outcome;
    return this.run(act, path, { ...body, allow: [...(body.allow ?? []), ...guards] }, { where });
  }

  async reload() {
    const seen = this.app.model.newest;
    const given = await ask({
      title: "Load the sources now",
      text: "The owner reads the sources, every worker votes, and what all can use is applied.",
      action: "Load",
      fields: [REASON, WINDOW, CANARY],
    });
    if (given) await this.run("Load the sources", "reload", filled(given), { seen });
  }

  /** @param {number | null} version null: the newest good one before what runs */
  async rollback(version = null) {
    const { newest, state } = this.app.model;
    const { status } = state;
    const back = version === null ? (status.provisional ? `version ${newest}` : "the last good version") : `version ${version}`;
    const takes = version === null && status.provisional;
    const given = await ask({
      title: takes ? `Take ${back} back` : version === newest ? `Hold ${back}` : `Roll back to ${back}`,
      text: "Its content runs in every worker then, under a new number, and is held: what the sources say is compared, and put to no worker, until somebody resumes.",
      action: takes ? "Take back" : "Roll back",
      danger: true,
      fields: [REASON],
    });
    const act = version === null ? "Roll back" : `Roll back to version ${version}`;
    if (given) await this.run(act, "rollback", { ...(version === null ? {} : { version }), ...filled(given) }, { seen: newest });
  }

  async resume() {
    const seen = this.app.model.newest;
    const given = await ask({
      title: "Follow the sources again",
      text: "The hold ends, what was undone is forgiven, and what the sources say now is loaded and voted on.",
      action: "Resume",
      fields: [REASON],
    });
    if (given) await this.run("Resume", "resume", filled(given), { seen });
  }

  async confirm() {
    const { newest, state } = this.app.model;
    const words = {
      trial: "It is put to every worker's vote, and committed under its own number.",
      confirm: "The window is closed: nothing is undone at its end.",
      probation: "It is good at once.",
    };
    const given = await ask({ title: `Keep version ${newest}`, text: words[state.status.provisional] ?? "", action: "Confirm", fields: [REASON] });
    if (given) await this.run(`Confirm version ${newest}`, "confirm", { version: newest, ...filled(given) }, { seen: newest });
  }

  /** @param {string} key */
  async unset(key) {
    const seen = this.app.model.newest;
    const given = await ask({ title: `Unset ${key}`, text: "The sources' value counts again, once every worker has voted for it.", action: "Unset", fields: [REASON] });
    if (given) await this.run(`Unset ${key}`, "unset", { keys: [key], ...filled(given) }, { seen });
  }
}

/** What was filled in, as the server wants it. */
function filled({ reason = "", confirm_within = "", canary = "" }) {
  const [window, size] = [seconds(confirm_within), canary.trim()];
  return {
    ...(reason ? { reason } : {}),
    ...(window ? { confirm_within: window } : {}),
    ...(size ? { canary: { size: size.endsWith("%") ? size : Number(size) } } : {}),
  };
}

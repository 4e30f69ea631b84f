/** The page: sign-in, the frame around the views, and when it is drawn again. */

import { h, patch } from "./dom.js";
import { Model } from "./model.js";
import { Acts } from "./acts.js";
import { place } from "./router.js";
import { frame } from "./frame.js";
import { signIn } from "./sign_in.js";
import { applyTheme } from "./theme.js";
import { flip } from "./motion.js";
import * as overview from "./views/overview.js";
import * as values from "./views/values.js";
import * as workers from "./views/workers.js";
import * as timeline from "./views/timeline.js";
import * as versions from "./views/versions.js";
import * as change from "./views/change.js";
import * as trials from "./views/trials.js";
import * as fleet from "./views/fleet.js";

const VIEWS = { overview, values, workers, timeline, versions, change, trials, fleet };

export class App {
  constructor() {
    this.model = new Model(() => this.redraw());
    this.acts = new Acts(this);
    this.root = /** @type {HTMLElement} */ (document.getElementById("app"));
    this.now = Date.now() / 1000;
    this.drawing = false;
    this.still = false;
    this.said = "";
    this.target = ""; // the id of what is to have the focus
    this.views = Object.fromEntries(Object.entries(VIEWS).map(([name, module]) => [name, module.create(this)]));
  }

  async start() {
    applyTheme();
    addEventListener("hashchange", () => this.#moved());
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault(); // else the address would name a view that there is none of
      document.getElementById("main")?.focus();
    });
    addEventListener("online", () => this.model.stream?.hurry());
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => this.redraw());
    this.redraw();
    await this.model.resume();
    this.resumed = true;
    this.redraw();
    this.#tick();
  }

  /**
   * Draw once, before the next frame, however often it is asked for.
   * @param {{still?: boolean}} how `still`: nothing glides, as where a person has opened what pushes the rest down
   */
  redraw({ still = false } = {}) {
    this.still ||= still;
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.#draw();
    });
  }

  get view() {
    const { view } = place();
    return view in this.views ? view : "overview";
  }

  #draw() {
    this.now = Date.now() / 1000;
    const { state } = this.model;
    const draw = () => patch(this.root, [state.session ? frame(this, this.views[this.view], this.view) : this.resumed || !sessionStorage.length ? signIn(this) : h("p", { class: "boot" }, "confcast")]);
    if (this.still) draw();
    else flip(this.root, draw);
    this.still = false;
    const name = state.owners.find((each) => each.id === state.owner)?.name;
    document.title = state.status ? `${state.status.version} · ${name ?? state.status.name} · confcast` : "confcast";
    this.#announce();
    this.#aim();
    this.#uncover();
    if (state.session) this.views[this.view].drawn?.();
  }

  /** On a phone the link of this view may be scrolled out of sight. */
  #uncover() {
    const link = this.root.querySelector("nav [aria-current]");
    if (link === this.uncovered || !link) return;
    this.uncovered = link;
    const nav = link.closest("nav");
    nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.clientWidth) / 2;
  }

  /** The focus goes where it was meant to, as soon as that is there. */
  #aim() {
    const element = this.target && document.getElementById(this.target);
    if (!element) return;
    this.target = "";
    element.focus({ preventScroll: true });
  }

  /** What a screen reader is told of what has changed by itself. */
  #announce() {
    const { status, live, gone, session } = this.model.state;
    if (!session) return;
    const text = live.state === "lost" ? "Not live: trying again." : gone !== null ? "The owner does not answer." : status ? `Version ${status.version} runs${status.provisional ? `, ${status.provisional}` : ""}.` : "";
    if (text === this.said) return;
    this.said = text;
    /** @type {HTMLElement} */ (document.getElementById("announcer")).textContent = text;
  }

  /** The view takes what the address says before it is drawn: nothing that is typed there is changed afterwards. */
  #moved() {
    this.views[this.view].opened?.(place().query);
    this.target ||= "heading";
    scrollTo(0, 0);
    this.redraw();
  }

  /** Once what is known by now is drawn. */
  afterDrawing(then) {
    requestAnimationFrame(() => requestAnimationFrame(then));
  }

  focusOutcome() {
    this.afterDrawing(() => document.getElementById("outcome")?.focus());
  }

  /** After a conflict: in the view that had tried it, try it; elsewhere do it, now that what runs has been seen. */
  tryAgain() {
    const { where } = this.acts.outcome;
    if (where && this.views[where].again) this.views[where].again();
    else this.acts.again();
  }

  #key(event) {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !this.model.state.session) return;
    event.preventDefault();
    this.target = "search";
    if (this.view === "values") this.redraw();
    else location.hash = "#values";
  }

  /** Clocks: each second while one counts down, and seldom otherwise; never in a tab that nobody sees. */
  #tick() {
    const { status, live } = this.model.state;
    const soon = status?.overrides?.some((each) => each.expires && each.expires - this.now < 3600);
    const counts = live.state === "lost" || (status && (status.deadline || soon || status.phase !== "idle"));
    setTimeout(() => {
      if (!document.hidden) this.redraw();
      this.#tick();
    }, counts ? 1000 : 10e3);
  }
}

new App().start();

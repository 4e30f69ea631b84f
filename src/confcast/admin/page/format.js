/** How times, durations, values and callers are written. No view formats one by itself. */

import { h } from "./dom.js";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const LONGEST = 400;

/** @param {number} seconds since 1970 */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  const days = (Date.now() - date.getTime()) / 86400e3;
  if (Math.abs(days) < 0.75) return CLOCK.format(date);
  return Math.abs(days) < 300 ? DAY.format(date) : DATE.format(date);
}

/** A moment in the local zone; its title is the ISO form. */
export function time(seconds, text = clock(seconds)) {
  const iso = new Date(seconds * 1000).toISOString();
  return h("time", { datetime: iso, title: iso }, text);
}

/** How long, in one unit or two: `42 s`, `4 min`, `3 h 12 min`, `5 days`. */
export function span(seconds) {
  const left = Math.max(0, Math.round(seconds));
  if (left < 90) return `${left} s`;
  if (left < 3600) return `${Math.round(left / 60)} min`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${Math.round((left % 3600) / 60)} min`;
  return `${Math.round(left / 86400)} days`;
}

/** What is left until a moment, as a clock: `4:05`. */
export function countdown(until, now) {
  const left = Math.max(0, Math.ceil(until - now));
  const [minutes, seconds] = [Math.floor(left / 60), left % 60];
  return minutes >= 600 ? span(left) : `${minutes}:${String(seconds).padStart(2, "0")}`;
}

export function ago(seconds, now) {
  const passed = now - seconds;
  return passed < 5 ? "just now" : `${span(passed)} ago`;
}

export function ms(duration) {
  return duration < 10 ? `${duration.toFixed(1)} ms` : duration < 1000 ? `${Math.round(duration)} ms` : `${(duration / 1000).toFixed(1)} s`;
}

export function many(count, one, more = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : more}`;
}

/** A value as JSON writes it, in full. */
export function whole(value) {
  return value === undefined ? "" : JSON.stringify(value);
}

/** The same, cut where it is long. */
export function short(value, most = LONGEST) {
  const text = whole(value);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** Whether a value comes shortened from the owner, with an ellipsis at the end of a text or list: to edit that would lose the rest. */
export function isShortened(value) {
  return whole(value ?? null).includes("…\"");
}

/** Where a value comes from, in a row: of one that is set by hand, for which token. */
export function source(text) {
  const found = /^set by .*, for (admin token [\w.@-]+)\), \d{4}-/.exec(text);
  return found ? `set by ${found[1]}` : text;
}

/** A value as an element; none is said in words, so that it is no empty place. */
export function shown(value, absent = "none") {
  if (value === null || value === undefined) return h("span", { class: "absent" }, absent);
  const masked = value === "**********";
  return h("code", { class: masked ? "value masked" : "value", title: masked ? "a secret" : null }, masked ? value : short(value));
}

/**
 * Who called, for a person: the token's name, else the program.
 * @param {{uid: number, pid: number, command: string, actor?: string} | null} who
 */
export function caller(who) {
  if (!who) return "";
  if (who.actor) return who.actor;
  const words = (who.command || "").split(" ");
  words[0] = words[0].replace(/^.*\//, "");
  const text = words.join(" ").replace(/^python[\d.]* -m confcast\b/, "confcast");
  return text ? (text.length > 48 ? `${text.slice(0, 47)}…` : text) : `user ${who.uid}`;
}

/** All that is known of the caller, for a title. */
export function callerTitle(who) {
  return who ? `user ${who.uid}, process ${who.pid}${who.command ? `: ${who.command}` : ""}` : null;
}

export const RESULTS = {
  success: ["good", "applied"],
  unchanged: ["quiet", "nothing differed"],
  partial: ["warn", "applied, not by all"],
  validation_failed: ["bad", "refused: not valid"],
  file_not_found: ["bad", "refused: a file is missing"],
  io_error: ["bad", "refused: can't be read"],
  rejected: ["bad", "refused by a worker"],
  owner_unavailable: ["bad", "no answer"],
  conflict: ["warn", "conflict"],
  held: ["warn", "held"],
  undone: ["bad", "undone"],
  guarded: ["bad", "refused by a guard"],
  on_trial: ["trial", "on trial"],
};

/** @returns {[kind: string, words: string]} */
export function result(name) {
  return RESULTS[name] ?? ["quiet", String(name).replaceAll("_", " ")];
}

export const ORIGINS = {
  start: "at the start",
  restart: "at the owner's restart",
  signal: "by a signal",
  watch: "a file has changed",
  call: "called",
  command: "by command",
  rollback: "rolled back",
  set: "set by hand",
  unset: "unset",
  expiry: "its time ended",
  resume: "resumed",
  confirm: "confirmed",
  undo: "put back by itself",
  reissue: "issued again",
  late: "a late answer",
  last_good: "the last good one, at the start",
};

export function origin(name) {
  return ORIGINS[name] ?? (name ? String(name).replaceAll("_", " ") : "not known");
}

/**
 * Seconds of a duration as the command line takes it: `90`, `60s`, `10m`, `2h`, `1d`. NaN if it is none, null for an empty text.
 * @param {string} text
 * @returns {number | null}
 */
export function seconds(text) {
  if (!text.trim()) return null;
  const found = /^\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*$/.exec(text);
  return found ? Number(found[1]) * { "": 1, s: 1, m: 60, h: 3600, d: 86400 }[found[2]] : NaN;
}

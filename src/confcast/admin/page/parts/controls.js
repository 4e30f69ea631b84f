/** Buttons, fields and tabs. One that is disabled says why, to the eye and to a screen reader. */

import { h } from "../dom.js";

/**
 * @param {string} label
 * @param {{onclick: () => void, kind?: "primary" | "danger" | "plain", off?: string, small?: boolean, name?: string, submit?: boolean}} how `off`: why it is disabled; `name`: for a screen reader, where the label alone says too little
 */
export function button(label, how) {
  const classes = ["button", how.kind ?? "", how.small ? "small" : ""].filter(Boolean).join(" ");
  return h("button", {
    type: how.submit ? "submit" : "button",
    class: classes,
    onclick: how.off || how.submit ? null : how.onclick,
    disabled: Boolean(how.off),
    title: how.off || null,
    "aria-label": how.off ? `${how.name ?? label}: ${how.off}` : (how.name ?? null),
  }, label);
}

/** A link that looks like a button. */
export function linkButton(label, href, small = true) {
  return h("a", { class: small ? "button small" : "button", href }, label);
}

/**
 * Tabs with one stop for the Tab key: arrows, Home and End go from one to the next.
 * @param {string} id
 * @param {string} label
 * @param {[string, string][]} tabs names and labels
 * @param {string} chosen
 * @param {(name: string) => void} choose
 */
export function tabs(id, label, tabs, chosen, choose) {
  const names = tabs.map(([name]) => name);
  const onkeydown = (event) => {
    const at = names.indexOf(chosen);
    const goes = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (goes === undefined) return;
    event.preventDefault();
    const name = names[(goes + names.length) % names.length];
    choose(name);
    document.getElementById(`${id}-${name}`)?.focus();
  };
  return h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown }, tabs.map(([name, words]) =>
    h("button", {
      key: name,
      type: "button",
      role: "tab",
      id: `${id}-${name}`,
      class: "tab",
      "aria-selected": String(name === chosen),
      "aria-controls": `${id}-panel`,
      tabindex: name === chosen ? "0" : "-1",
      onclick: () => choose(name),
    }, words)));
}

export function panel(id, chosen, ...children) {
  return h("div", { id: `${id}-panel`, role: "tabpanel", "aria-labelledby": `${id}-${chosen}`, tabindex: "-1" }, children);
}

/** A field with its label above. @param {Record<string, any>} props of the input */
export function field(label, props, hint = "") {
  const { tag = "input", ...rest } = props;
  const hinted = hint ? { "aria-describedby": `${rest.id}-hint` } : {};
  return h("div", { class: "field", key: `field-${rest.id}` },
    h("label", { for: rest.id }, label),
    h(tag, { class: "input", autocomplete: "off", spellcheck: "false", ...hinted, ...rest }),
    hint ? h("p", { class: "hint", id: `${rest.id}-hint` }, hint) : null);
}

/** @param {[string, string][]} options values and texts */
export function choice(label, id, options, value, chosen) {
  return h("div", { class: "field", key: `field-${id}` },
    h("label", { for: id }, label),
    h("select", { id, class: "input", value, onchange: (event) => chosen(event.target.value) },
      options.map(([name, text]) => h("option", { key: name, value: name }, text))));
}

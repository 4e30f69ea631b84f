/** Dark or light: as the system says, unless a person chooses. */

const KEY = "confcast-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

export function theme() {
  return localStorage.getItem(KEY) ?? "system";
}

export function applyTheme() {
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function nextTheme() {
  localStorage.setItem(KEY, NEXT[theme()]);
  applyTheme();
}

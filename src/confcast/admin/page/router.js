/** The view that the address names: `#values?key=limits.api`. Nothing that is secret stands there, and no token. */

/** @returns {{view: string, query: Record<string, string>}} */
export function place() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view: view || "overview", query: Object.fromEntries(new URLSearchParams(query)) };
}

/** An address within the page. It begins with `./`, since a link that begins with `#` is taken for one that skips something. */
export function to(view, query = {}) {
  const text = new URLSearchParams(query).toString();
  return text ? `./#${view}?${text}` : `./#${view}`;
}

/** Replace what stands after the `?`, without a step in the browser's history. */
export function remember(view, query) {
  history.replaceState(null, "", to(view, query));
}

/** Elements that have `data-flip` glide to their new place, unless the person's system asks for less motion. */

const QUICK = { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" };
const less = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Let this change the page, and have what it moves glide.
 * @param {Element} root
 * @param {() => void} change
 */
export function flip(root, change) {
  const before = less.matches ? new Map() : places(root);
  change();
  if (!before.size) return;
  for (const [name, now] of places(root)) {
    const was = before.get(name);
    if (!was || (was.x === now.x && was.y === now.y)) continue;
    now.element.animate([{ transform: `translate(${was.x - now.x}px, ${was.y - now.y}px)` }, { transform: "none" }], QUICK);
  }
}

/** Within the page, not the window: scrolling moves nothing. */
function places(root) {
  const found = new Map();
  for (const element of root.querySelectorAll("[data-flip]")) {
    const { x, y } = element.getBoundingClientRect();
    found.set(element.dataset.flip, { element, x: x + scrollX, y: y + scrollY });
  }
  return found;
}

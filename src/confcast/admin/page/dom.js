/**
 * What a view returns, and how it becomes the page: `h` describes an element, `patch` changes the real ones to match.
 *
 * Guaranteed: a text becomes a text node, so no value of a configuration is ever read as markup; an element that stays
 * is kept, with its focus, its selection and its scroll position. A list whose items come and go gives each a `key`.
 * A child that is null or false keeps its place, so that the ones after it are not taken for others.
 * Rejected: innerHTML (the page's policy forbids it by `require-trusted-types-for`), and a framework (a build step).
 */

/**
 * @typedef {{tag: string, props: Record<string, any>, children: Child[], svg: boolean}} Element
 * @typedef {Element | string | null} Child
 */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "selected"]);
/** @type {WeakMap<Node, {vnodes: Child[], nodes: (Node | null)[]}>} */
const drawn = new WeakMap();

/**
 * An element of HTML.
 * @param {string} tag
 * @param {Record<string, any> | null} [props] attributes; `on…` a handler; `css` custom properties; `key`; `ref` a function
 * @param {...any} children elements, texts, numbers, arrays of them
 * @returns {Element}
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children), svg: false };
}

/** The same of SVG. */
export function s(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children), svg: true };
}

function flat(children) {
  return children
    .flat(Infinity)
    .map((each) => (each === undefined || each === null || typeof each === "boolean" ? null : typeof each === "object" ? each : String(each)));
}

/**
 * Make these the children of an element.
 * @param {globalThis.Element} parent
 * @param {any[]} children
 */
export function patch(parent, children) {
  const vnodes = flat(children);
  const before = drawn.get(parent) ?? { vnodes: [], nodes: [] };
  const pool = sorted(before);
  let next = 0;
  const nodes = vnodes.map((vnode) => {
    const key = typeof vnode === "object" && vnode !== null ? vnode.props.key : undefined;
    const former = key === undefined ? pool.unkeyed[next++] : pool.keyed.get(key);
    return vnode === null ? null : made(vnode, former);
  });
  drawn.set(parent, { vnodes, nodes });
  arrange(parent, nodes.filter((each) => each !== null));
}

function sorted({ vnodes, nodes }) {
  const keyed = new Map();
  const unkeyed = [];
  vnodes.forEach((vnode, index) => {
    const key = typeof vnode === "object" && vnode !== null ? vnode.props.key : undefined;
    if (key === undefined) unkeyed.push({ vnode, node: nodes[index] });
    else keyed.set(key, { vnode, node: nodes[index] });
  });
  return { keyed, unkeyed };
}

function made(vnode, former) {
  if (typeof vnode === "string") {
    if (typeof former?.vnode !== "string") return document.createTextNode(vnode);
    if (former.vnode !== vnode) former.node.data = vnode;
    return former.node;
  }
  const same = former?.node && typeof former.vnode === "object" && former.vnode.tag === vnode.tag;
  const node = same ? former.node : vnode.svg ? document.createElementNS(SVG, vnode.tag) : document.createElement(vnode.tag);
  dress(node, vnode.props, same ? former.vnode.props : {});
  patch(node, vnode.children);
  if (vnode.tag === "select") node.value = vnode.props.value ?? node.value; // its options exist only now
  if (!same) vnode.props.ref?.(node);
  return node;
}

function dress(node, props, before) {
  for (const name in before) if (!(name in props)) put(node, name, undefined, before[name]);
  for (const name in props) if (props[name] !== before[name] || PROPERTIES.has(name)) put(node, name, props[name], before[name]);
}

function put(node, name, value, before) {
  if (name === "key" || name === "ref") return;
  if (name.startsWith("on")) node[name] = value ?? null;
  else if (name === "css") restyle(node, value ?? {}, before ?? {});
  else if (PROPERTIES.has(name) && name in node) {
    if (node[name] !== (value ?? "")) node[name] = value ?? "";
  } else if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}

function restyle(node, style, before) {
  for (const name in before) if (!(name in style)) node.style.removeProperty(name);
  for (const name in style) if (style[name] !== before[name]) node.style.setProperty(name, style[name]);
}

/** What is gone is removed first: so what stays need not move, and keeps its focus. */
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.childNodes]) if (!wanted.has(node)) node.remove();
  let cursor = parent.firstChild;
  for (const node of nodes) {
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
}

// Create elements. Texts become text nodes: nothing that a candidate wrote is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const ADDRESSES = ["href", "src", "action", "formaction", "xlink:href"];
const SCHEMES = ["http:", "https:", "mailto:", "blob:"];

/**
 * `h("button", {class: "primary", onclick: save}, "Save")`
 *
 * An attribute that starts with `on` is a listener, `true` an empty attribute, and `false`, null or undefined none. An
 * address that could run a script is left out.
 * Children are nodes, texts, numbers, and lists of them; null, undefined and false are left out.
 */
export function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/** As `h`, for SVG. */
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (ADDRESSES.includes(name) && !isSafe(value)) continue;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...flat(children));
  return element;
}

function isSafe(address) {
  try {
    return SCHEMES.includes(new URL(address, document.baseURI).protocol);
  } catch {
    return false;
  }
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/**
 * A link to another site over http or https. It shows where it leads: other alphabets as `xn--…`. Other addresses are
 * shown as `text`, and so are those with a user, which looks like the host: `https://github.com@example.com`.
 */
export function outsideLink(address, text = address) {
  const url = URL.parse(address ?? "");
  const isWeb = ["http:", "https:"].includes(url?.protocol) && !url.username && !url.password;
  if (!isWeb) return h("span", {}, text);
  return h("a", { href: url.href, rel: "noreferrer noopener", target: "_blank" }, url.href);
}

let ids = 0;

/** An id that no other element has, for labels and descriptions. */
export function newId(prefix = "id") {
  ids += 1;
  return `${prefix}-${ids}`;
}

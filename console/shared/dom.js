// Create elements. Texts become text nodes, so a candidate's text is never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const ADDRESSES = ["href", "src", "action", "formaction", "xlink:href"];
const SCHEMES = ["http:", "https:", "mailto:", "blob:"];

/**
 * `h("button", {class: "primary", onclick: save}, "Save")`
 *
 * An attribute that starts with `on` is a listener. `true` sets an empty attribute; `false`, null and undefined omit it.
 * Addresses that could run a script are omitted.
 * Children are nodes, texts, numbers, and lists of these; null, undefined and false are omitted.
 */
export function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/** Like `h`, for SVG. */
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

/** Replace an element's children. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/**
 * Link to an external http or https address. Non-ASCII host names appear as `xn--…`. Other addresses, and
 * addresses with a misleading user such as `https://github.com@example.com`, become `text`.
 */
export function outsideLink(address, text = address) {
  const url = URL.parse(address ?? "");
  const isWeb = ["http:", "https:"].includes(url?.protocol) && !url.username && !url.password;
  if (!isWeb) return h("span", {}, text);
  return h("a", { href: url.href, rel: "noreferrer noopener", target: "_blank" }, url.href);
}

let ids = 0;

/** Return a unique element id for labels and descriptions. */
export function newId(prefix = "id") {
  ids += 1;
  return `${prefix}-${ids}`;
}

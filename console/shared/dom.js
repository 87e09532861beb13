// Create elements. Strings become text nodes, so user input is never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const URL_ATTRIBUTES = ["href", "src", "action", "formaction", "xlink:href"];
const SAFE_PROTOCOLS = ["http:", "https:", "mailto:", "blob:"];

/**
 * `h("button", {class: "primary", onclick: save}, "Save")`
 *
 * An attribute that starts with `on` is a listener. `true` sets an empty attribute; `false`, null and undefined omit it.
 * URLs that could run a script are omitted. Children are nodes, strings, numbers, and arrays of these; `false`, null and
 * undefined are omitted.
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
    else if (URL_ATTRIBUTES.includes(name) && !isSafeUrl(value)) continue;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...flatten(children));
  return element;
}

function isSafeUrl(url) {
  try {
    return SAFE_PROTOCOLS.includes(new URL(url, document.baseURI).protocol);
  } catch {
    return false;
  }
}

function flatten(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace an element's children. */
export function fill(element, ...children) {
  element.replaceChildren(...flatten(children));
  return element;
}

/**
 * Link to an external http or https URL. Non-ASCII host names appear as `xn--…`. Other URLs, and URLs with a misleading
 * user name such as `https://github.com@example.com`, are rendered as `text` without a link.
 */
export function externalLink(href, text = href) {
  const url = URL.parse(href ?? "");
  const isWeb = ["http:", "https:"].includes(url?.protocol) && !url.username && !url.password;
  if (!isWeb) return h("span", {}, text);
  return h("a", { href: url.href, rel: "noreferrer noopener", target: "_blank" }, url.href);
}

let lastId = 0;

/** Return a unique element id for labels and descriptions. */
export function newId(prefix = "id") {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** Build a list of names and values, `[name, value, detail]`. Leaves out rows without a value. */
export function pairs(rows, label = (name) => name) {
  const filled = rows.filter(([, value]) => value);
  return h("dl", { class: "pairs" }, filled.map(([name, value, detail]) => h("div", {}, h("dt", {}, label(name)), h("dd", {}, value, detail && h("span", { class: "quiet" }, detail)))));
}

// Elements are built from values, never from markup: a value always stays text.

// h makes an element. Attributes: class, on… (listeners), dataset, style (an object), and
// true, false or null for those without a value. Children: elements, text, null, lists.
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// s is h for SVG.
export function s(name, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

// clear removes what is in an element.
export function clear(element) {
  element.replaceChildren();
  return element;
}

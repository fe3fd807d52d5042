// Light or dark: as the system says, or as the reader does. Charts are drawn again on the
// event "theme" of the document.

const kinds = ["system", "light", "dark"];
const icons = { system: "◐", light: "☀", dark: "☾" };

function stored() {
  try {
    const kind = localStorage.getItem("theme");
    return kinds.includes(kind) ? kind : "system";
  } catch {
    return "system"; // storage can be forbidden
  }
}

function apply(kind, button) {
  if (kind === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = kind;
  button.textContent = icons[kind];
  button.setAttribute("aria-label", `Theme: ${kind}`);
  button.title = button.getAttribute("aria-label");
  document.dispatchEvent(new Event("theme"));
}

// initTheme makes a button go through the kinds.
export function initTheme(button) {
  let kind = stored();
  apply(kind, button);
  button.addEventListener("click", () => {
    kind = kinds[(kinds.indexOf(kind) + 1) % kinds.length];
    try {
      localStorage.setItem("theme", kind);
    } catch {
      // it lasts until the page is closed
    }
    apply(kind, button);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
}

// css returns the value of a custom property, as in css("ink").
export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

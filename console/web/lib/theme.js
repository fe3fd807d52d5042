// The theme: system, light or dark. Charts redraw on the event "theme" of the document.

const kinds = ["system", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const icons = { system: "◐", light: "☀", dark: "☾" };

function stored() {
  try {
    const kind = localStorage.getItem("theme");
    return kinds.includes(kind) ? kind : "system";
  } catch {
    return "system"; // storage can be blocked
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

// initTheme makes a button cycle through the themes.
export function initTheme(button) {
  let kind = stored();
  apply(kind, button);
  button.addEventListener("click", () => {
    kind = kinds[(kinds.indexOf(kind) + 1) % kinds.length];
    try {
      localStorage.setItem("theme", kind);
    } catch {
      // then the theme lasts until the page is closed
    }
    apply(kind, button);
  });
  dark.addEventListener("change", () => document.dispatchEvent(new Event("theme")));
}

// css returns the value of a custom property in the current theme, as in css("ink").
export function css(name) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const pair = /^light-dark\((.+), (.+)\)$/.exec(value);
  if (!pair) return value;
  const theme = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  return pair[theme === "dark" ? 2 : 1];
}

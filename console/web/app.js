// The router: which module renders a URL, and the life cycle of pages.
//
// A page is a module that exports `async show(root, ctx)`. It fills root, and may return a
// function that is called when the user leaves the page. ctx is:
//   params    parameters of the path, such as {id} of /trace/:id
//   query     URLSearchParams of the URL
//   signal    aborted when the page is left: pass it to every fetch
//   setQuery(values, {push})  changes the URL's query (null removes) without leaving the
//             page; push adds a history entry
//   go(href)  navigates to another page
//   title(t)  sets the document title

import { clear } from "./lib/dom.js";
import { problem } from "./lib/ui.js";
import { watchFaults } from "./lib/faults.js";
import { notFound, pages } from "./lib/notfound.js";
import { initTheme } from "./lib/theme.js";

const routes = [
  ["/", "home"],
  ["/explore", "explore"],
  ["/dashboards", "dashboards"],
  ["/d/:uid", "dashboard"],
  ["/traces", "traces"],
  ["/traces/file", "tracefile"],
  ["/trace/:id", "trace"],
  ["/map", "map"],
  ["/logs", "logs"],
  ["/faults", "faults"],
  ["/runs", "runs"],
  ["/runs/new", "newrun"],
  ["/runs/compare", "compare"],
  ["/runs/:id", "run"],
];

const main = document.getElementById("main");
let leave = null;
let shown = ""; // the URL of the current page, without its fragment

const currentURL = () => location.pathname + location.search;

function match(path) {
  for (const [pattern, page] of routes) {
    const want = pattern.split("/"), have = path.replace(/(.)\/$/, "$1").split("/");
    if (want.length !== have.length) continue;
    const params = {};
    const ok = want.every((part, i) => {
      if (!part.startsWith(":")) return part === have[i];
      try {
        params[part.slice(1)] = decodeURIComponent(have[i]);
      } catch {
        return false;
      }
      return have[i] !== "";
    });
    if (ok) return { page, params };
  }
  return null;
}

async function open() {
  shown = currentURL();
  leave?.();
  const stop = new AbortController();
  let cleanup = null;
  leave = () => {
    stop.abort();
    cleanup?.();
  };
  const found = match(location.pathname);
  markSection();
  clear(main);
  main.dataset.page = found?.page ?? "none";
  for (const name of ["ready", "loaded", "panels"]) delete main.dataset[name];
  window.scrollTo(0, 0);
  const title = (t) => {
    document.title = t ? `${t} · Soundcheck` : "Soundcheck";
  };
  title("");
  if (!found) {
    title("Not found");
    notFound(main, "Page not found", `The console has no page ${location.pathname}.`, pages);
    main.dataset.ready = "true";
    return;
  }
  try {
    const module = await load(found.page);
    if (stop.signal.aborted) return;
    const done = await module.show(main, {
      params: found.params, query: new URLSearchParams(location.search), signal: stop.signal, setQuery, go, title,
    });
    if (stop.signal.aborted) done?.();
    else cleanup = done;
  } catch (error) {
    if (stop.signal.aborted) return;
    main.append(problem(error.message));
    console.warn(error);
  }
  if (!stop.signal.aborted) main.dataset.ready = "true";
}

// load returns a page's module. It fails after an update of the console, whose module URLs differ.
async function load(page) {
  try {
    return await import(`./pages/${page}.js`);
  } catch (error) {
    console.warn(error);
    throw new Error("This page could not be loaded. Is the lab up? If the console was updated, reload the page.");
  }
}

function setQuery(values, { push = false } = {}) {
  const url = new URL(location);
  for (const [name, value] of Object.entries(values)) {
    url.searchParams.delete(name);
    for (const v of [value].flat()) if (v !== null && v !== undefined && v !== "") url.searchParams.append(name, v);
  }
  if (url.href !== location.href) history[push ? "pushState" : "replaceState"](null, "", url);
  shown = currentURL();
}

function go(href) {
  history.pushState(null, "", href);
  open();
  main.focus({ preventScroll: true });
}

function markSection() {
  const here = "/" + location.pathname.split("/")[1];
  const section = { "/d": "/dashboards", "/trace": "/traces" }[here] ?? here;
  for (const a of document.querySelectorAll("header.bar a")) {
    if (a.getAttribute("href") === section) {
      a.setAttribute("aria-current", "page");
      a.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the bar scrolls
    } else a.removeAttribute("aria-current");
  }
}

// Links to pages of the console do not reload the document. Links to URLs that the server
// handles itself do.
document.addEventListener("click", (e) => {
  const a = e.target.closest?.("a[href]");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.getAttribute("target") || a.hasAttribute("download")) return;
  const url = new URL(a.getAttribute("href"), location.href);
  if (url.origin !== location.origin || a.getAttribute("href").startsWith("#") || !match(url.pathname)) return;
  e.preventDefault();
  go(url.href);
});
addEventListener("popstate", () => {
  if (currentURL() !== shown) open(); // a fragment only changes the place on the same page
});

initTheme(document.getElementById("theme"));
watchFaults(document.getElementById("faults"));
open();

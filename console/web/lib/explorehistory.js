// The queries that were run in this browser, the newest first.

const name = "explore-history", most = 50;

// read returns the list of [{q: [expressions], at}].
export function read() {
  try {
    const list = JSON.parse(localStorage.getItem(name) ?? "[]");
    return Array.isArray(list) ? list.filter((e) => Array.isArray(e?.q) && e.q.every((q) => typeof q === "string")) : [];
  } catch {
    return []; // storage can be blocked, or changed by hand
  }
}

// remember puts queries first. The same queries are stored once.
export function remember(q, now = Date.now()) {
  if (!q.length) return;
  const list = [{ q, at: now }, ...read().filter((e) => JSON.stringify(e.q) !== JSON.stringify(q))].slice(0, most);
  try {
    localStorage.setItem(name, JSON.stringify(list));
  } catch {
    // then there is no history
  }
}

export function forget() {
  try {
    localStorage.removeItem(name);
  } catch {
    // see read
  }
}

// The kinds of faults: what each does, its parameters, and where it shows.

// Parameters. An input has the text of the parameter, with its unit; the service validates it.
const share = { name: "Share", hint: "above 0% to 100%", example: "10%", optional: true };
const all = { ...share, optional: false };
const time = (name, example) => ({ name, hint: "1us to 1h", example });

const traces = (service, kind) => [`/traces?service=${service}&tags=${encodeURIComponent(`soundcheck.fault=${kind}`)}`, "Traces"];
const board = (uid, text) => [`/d/${uid}`, text];
const latency = board("service-latency", "Service latency"), store = board("store", "Store and database"), overload = board("overload", "Overload"), upstream = board("through-the-proxy", "Proxy and upstream");

// kinds by name: title, effect, parameters (joined by @), and links. The first parameter is required.
export const kinds = {
  "db-delay": { title: "Slow database calls", effect: "Delays a share of database calls.", parameters: [time("Delay", "40ms"), share], links: [store, latency] },
  latency: { title: "Slow requests", effect: "Delays a share of requests before they are handled.", parameters: [time("Delay", "50ms"), share], links: [latency, upstream] },
  error: { title: "Errors", effect: "Responds to a share of requests with this status.", parameters: [{ name: "Status", hint: "400 to 599", example: "500" }, share], links: [latency, board("slo", "SLO")] },
  stall: { title: "Stalls", effect: "Blocks all database calls: once, or for the last part of every period.", parameters: [time("Duration", "5s"), { ...time("Period", "30s"), hint: "longer than the duration; empty: once", optional: true }], links: [store, latency] },
  slots: { title: "Few database slots", effect: "Limits concurrent database calls. Further calls wait, without a limit.", parameters: [{ name: "Concurrency", hint: "1 to 100000 calls", example: "4" }], links: [store, overload] },
  drop: { title: "Dropped connections", effect: "Closes the connection of a share of requests without a response.", parameters: [{ ...all, example: "1%" }], links: [board("load-test", "Load test"), latency] },
  "conn-leak": { title: "Connection leak", effect: "Keeps a connection for reads for good, at a share of database calls.", parameters: [{ ...all, example: "1%" }], links: [store] },
  "db-lock": { title: "Write lock", effect: "Holds SQLite's write lock for the last part of every period, while calls arrive.", parameters: [time("Duration", "400ms"), { ...time("Period", "1s"), hint: "longer than the duration" }], links: [store, latency] },
  "n-plus-one": { title: "N+1 requests", effect: "Gets each album of a list once more, one by one, for a share of lists.", parameters: [{ ...all, example: "100%" }], links: [upstream, latency] },
};

// linksOf returns where a fault of a service shows: [address, text].
export const linksOf = (service, kind) => [...(kinds[kind]?.links ?? []), traces(service, kind)];

// describe returns the texts and parameters of a kind, also of one that this page does not know.
export const describe = (kind) => kinds[kind] ?? { title: kind, effect: "", parameters: [{ name: "Value", hint: "", example: "" }], links: [] };

// split returns the values of the parameters in an active fault, such as db-delay=40ms@2%.
export function split(spec) {
  const value = spec.slice(spec.indexOf("=") + 1), at = value.indexOf("@");
  return at < 0 ? [value] : [value.slice(0, at), value.slice(at + 1)];
}

// join is the opposite: the value of a fault. Empty parameters at the end are left out.
export const join = ([first, second]) => (second ? `${first}@${second}` : first);

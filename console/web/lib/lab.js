// Badges, verdicts and commands that the pages share.

import { h } from "./dom.js";
import { seconds } from "./format.js";
import { copyable, empty } from "./ui.js";

// badge is a short text in a state colour: good, warn, bad or none.
export const badge = (text, state, title) => h("span", { class: `badge ${state ?? ""}`, title }, text);

const componentStates = { ready: "good", unready: "bad", failed: "bad", restarting: "bad", starting: "warn", building: "warn", downloading: "warn", waiting: "warn" };

// componentBadge shows the state of a component.
export function componentBadge(p) {
  const text = p.state === "building" && p.packages ? `building ${p.packages_built ?? 0}/${p.packages}` : p.state;
  return badge(text, componentStates[p.state], p.detail);
}

// externalStores shows the URLs of the album stores if the lab runs none.
export function externalStores(stores) {
  if (!stores?.length) return null;
  return h("p", { class: "note" }, "External album store: the proxy calls ", stores.map((s, i) => [i ? ", " : "", h("span", { class: "mono" }, s)]), ".");
}

const verdicts = { good: ["all served", "good"], met: ["SLOs met", "good"], violated: ["SLOs violated", "bad"], failed: ["requests failed", "bad"],
  invalid: ["invalid", "warn"], running: ["running", ""], unfinished: ["no report", ""], unreadable: ["unreadable", "bad"] };

// verdictBadge shows the verdict of a run.
export function verdictBadge(run) {
  const [text, state] = verdicts[run.verdict] ?? [run.verdict, ""];
  return badge(text, state, run.because ?? run.problem);
}

// platform is where the lab's components run: "compose", "kubernetes", or undefined without containers.
export const platform = () => document.documentElement.dataset.containers;

// startHint is what to do if something of the lab is missing.
export const startHint = () => ({ compose: "Check the containers with make compose-ps", kubernetes: "Check the containers with make k8s-status" }[platform()]
  ?? "Start the lab with make lab-up");

// runsFolder says where runs are. In Kubernetes the console does not have them.
export const runsFolder = "in .lab/runs, on the machine that sends the load";

// noRuns is shown instead of an empty list of runs.
export function noRuns(text, load) {
  if (platform() !== "kubernetes") return empty(text, copyable(load));
  // The usual ports are those of port-forwards to the cluster.
  return empty(`Runs stay ${runsFolder}. To see them at http://127.0.0.1:3301/runs, run there:`,
    copyable("go run ./console -addr 127.0.0.1:3301 -jaeger http://127.0.0.1:16696"));
}

// shares formats n of a total and the rest as percentages. The two add up to 100 %, and neither
// is 0 or 100 % unless it is exact.
export function shares(n, of) {
  if (!of) return ["–", "–"];
  if (n === 0 || n === of) return n ? ["100 %", "0 %"] : ["0 %", "100 %"];
  const tenths = Math.floor((n * 1000) / of + 1e-9);
  if (tenths === 0) return ["<0.1 %", ">99.9 %"];
  if (n / of > 0.999) return [">99.9 %", "<0.1 %"];
  return [tenths, 1000 - tenths].map((t) => `${(t / 10).toFixed(1)} %`);
}

// lossBadge shows the share of a run's requests that failed or were shed, independent of the
// verdict; null if all were served.
export function lossBadge({ classes = {} }) {
  const { failed = 0, shed = 0 } = classes, of = Object.values(classes).reduce((a, b) => a + b, 0), lost = failed + shed;
  if (!lost) return null;
  return badge(`${shares(of - lost, of)[1]} not served`, "bad", `${failed} failed and ${shed} were shed, of ${of}`);
}

// commands returns shell commands for a lab with a port offset, native or in containers: see platform.
export function commands(offset = 0, folder = "", on = platform()) {
  const at = (port) => `http://127.0.0.1:${port + offset}`;
  const to = offset ? ` -url ${at(9070)}` : "", env = offset ? `OTEL_EXPORTER_OTLP_ENDPOINT=${at(4318)} ` : "";
  const traces = offset ? ` -jaeger ${at(16696)}` : "";
  const own = /\/\.lab$/.test(folder) || !folder ? "" : ` -state ${quote(folder)}`;
  const keep = own ? ` -keep ${quote(`${folder}/runs`)}` : "";
  const compose = `go run ./compose${offset ? ` -port-offset ${offset}` : ""}`;
  const admin = (port) => `${on ? `http://127.0.0.1:${port}` : at(port)}/admin/faults`;
  const adminPort = (name) => (name.startsWith("proxy-service") ? 9071 : 9081);
  return {
    env, to,
    ps: on === "kubernetes" ? "make k8s-status" : `${compose} ps`,
    up: own || offset ? `go run ./lab up${own}${offset ? ` -port-offset ${offset}` : ""}` : "make lab-up",
    endExercise: `go run ./lab exercise stop${own}`,
    down: `go run ./lab down${own}`,
    album: `curl ${at(9070)}/albums/1`,
    load: `${env}go run ./loadgen -rate 100 -slo 'p99<50ms'${to}${traces}${keep}`,
    data: `${env}go run ./datagen -n 1000${to}`,
    // forward makes the fault API of a service reachable for the commands below, null if it already is.
    // The document has the Deployment, if the server knows it.
    forward(name = "album-store") {
      const deployment = document.documentElement.getAttribute(`data-${name}`) ?? "-n NAMESPACE deployment/NAME";
      return on === "kubernetes" ? `kubectl port-forward ${deployment} ${adminPort(name)} &` : null;
    },
    slow: on === "compose" ? `${compose} exec album-store-1 /tools/labtool put ${admin(9081)} '{"faults":["db-delay=40ms@2%"]}'`
      : `curl -X PUT ${admin(9081)} -d '{"faults":["db-delay=40ms@2%"]}'`,
    // clearFaults clears the faults of a service or, in Compose, of a container.
    clearFaults(name = "album-store-1") {
      const url = admin(adminPort(name));
      return on === "compose" ? `${compose} exec ${name} /tools/labtool delete ${url}` : `curl -X DELETE ${url}`;
    },
  };
}

const ports = [9070, 9071, 9080, 9081, 9090, 16696, 3300, 4318];

// withPortOffset adapts the ports and commands in a text to a port offset.
export function withPortOffset(text, offset) {
  if (!offset) return text;
  const own = commands(offset);
  return text.replace(/\b127\.0\.0\.1:(\d+)/g, (all, port) => (ports.includes(Number(port)) ? `127.0.0.1:${Number(port) + offset}` : all))
    .replace(/^go run \.\/(?:loadgen|datagen)\b(?!.* -url ).*$/gm, (line) => `${own.env}${line}${own.to}`);
}

const quote = (text) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// age formats the time since a point in time, beyond two minutes without seconds.
export function age(time, now = Date.now()) {
  const s = Math.max(0, Math.floor((now - Date.parse(time)) / 1e3));
  return s < 60 ? `${s} s` : seconds(s < 120 ? s : s - (s % 60));
}

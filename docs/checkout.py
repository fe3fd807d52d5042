#!/usr/bin/env python3
"""A service that is not the lab's and not in Go: Python's standard library, and OTLP over HTTP as JSON.

    go run ./lab up -with 'checkout=python3 docs/checkout.py 8080' -with-url http://127.0.0.1:8080

GET / is an order: it takes 1 to 30 ms, and 1 of 50 fails with 500. Each request has a server span, which
joins the caller's trace (traceparent), a child span, a log record with both ids, and a point in the
histogram http.server.request.duration. A real service gets all of this from an OpenTelemetry SDK.
"""

import bisect
import json
import os
import random
import re
import secrets
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDPOINT = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
PROTOCOL = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
NAME = os.environ.get("OTEL_SERVICE_NAME", "checkout")
INTERVAL = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "5000")) / 1000
SCOPE = {"name": "checkout.py"}
# Of http.server.request.duration in the semantic conventions, in seconds.
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
SERVER, INTERNAL, ERROR, CUMULATIVE = 2, 1, 2, 2  # enums of OTLP


def attributes(values):
    def value(v):
        return {"intValue": str(v)} if isinstance(v, int) else {"stringValue": v}

    return [{"key": k, "value": value(v)} for k, v in values.items()]


def resource():
    pairs = (p.split("=", 1) for p in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in p)
    return {"attributes": attributes({**{k.strip(): v.strip() for k, v in pairs}, "service.name": NAME})}


class Telemetry:
    """Collects spans, log records and one histogram, and exports them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.spans, self.logs, self.points = [], [], {}
        self.begun = time.time_ns()

    def request(self, spans, log, labels, seconds, trace, span):
        with self.lock:
            self.spans += spans
            self.logs.append(log)
            key = tuple(sorted(labels.items()))
            point = self.points.setdefault(key, {"count": 0, "sum": 0.0, "buckets": [0] * (len(BOUNDS) + 1), "exemplar": None})
            point["count"] += 1
            point["sum"] += seconds
            point["buckets"][bisect.bisect_left(BOUNDS, seconds)] += 1
            if spans:
                point["exemplar"] = {"timeUnixNano": str(time.time_ns()), "asDouble": seconds, "traceId": trace, "spanId": span}

    def export(self):
        with self.lock:
            spans, logs, self.spans, self.logs = self.spans, self.logs, [], []
            now = str(time.time_ns())
            points = [{
                "attributes": attributes(dict(key)), "startTimeUnixNano": str(self.begun), "timeUnixNano": now,
                "count": str(p["count"]), "sum": p["sum"], "bucketCounts": [str(n) for n in p["buckets"]],
                "explicitBounds": BOUNDS, "exemplars": [p["exemplar"]] if p["exemplar"] else [],
            } for key, p in self.points.items()]
        if spans:
            post("traces", {"resourceSpans": [{"resource": resource(), "scopeSpans": [{"scope": SCOPE, "spans": spans}]}]})
        if logs:
            post("logs", {"resourceLogs": [{"resource": resource(), "scopeLogs": [{"scope": SCOPE, "logRecords": logs}]}]})
        if points:
            histogram = {"aggregationTemporality": CUMULATIVE, "dataPoints": points}
            metric = {"name": "http.server.request.duration", "unit": "s", "histogram": histogram}
            post("metrics", {"resourceMetrics": [{"resource": resource(), "scopeMetrics": [{"scope": SCOPE, "metrics": [metric]}]}]})


def post(signal_name, message):
    request = urllib.request.Request(f"{ENDPOINT}/v1/{signal_name}", json.dumps(message).encode(), {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError as e:  # an SDK would retry
        print(f"{signal_name} lost: {e}", file=sys.stderr, flush=True)


telemetry = Telemetry()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        parent = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2}).*", self.headers.get("traceparent", ""))
        trace = parent[1] if parent else secrets.token_hex(16)
        sampled = not parent or int(parent[3], 16) & 1
        span, child = secrets.token_hex(8), secrets.token_hex(8)
        begun = time.time_ns()
        route = "/" if self.path.split("?")[0] == "/" else ""
        status = 404 if not route else 500 if random.random() < 0.02 else 200
        charged = time.time_ns()
        if route:
            time.sleep(random.uniform(0.001, 0.03))
        ended = time.time_ns()
        body = {200: b'{"order": "paid"}\n', 404: b'{"error": "no such page"}\n', 500: b'{"error": "card declined"}\n'}[status]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        labels = {"http.request.method": "GET", "http.response.status_code": status, "url.scheme": "http"}
        if route:
            labels["http.route"] = route
        done = time.time_ns()
        spans = [{"traceId": trace, "spanId": span, **({"parentSpanId": parent[2]} if parent else {}), "name": f"GET {route}".strip(), "kind": SERVER,
                  "startTimeUnixNano": str(begun), "endTimeUnixNano": str(done), "attributes": attributes({**labels, "url.path": self.path.split("?")[0]}),
                  "status": {"code": ERROR} if status >= 500 else {}}]
        if route:
            spans.append({"traceId": trace, "spanId": child, "parentSpanId": span, "name": "charge card", "kind": INTERNAL,
                          "startTimeUnixNano": str(charged), "endTimeUnixNano": str(ended)})
        severity = {"severityNumber": 17, "severityText": "ERROR"} if status >= 500 else {"severityNumber": 9, "severityText": "INFO"}
        log = {"timeUnixNano": str(done), **severity, "body": {"stringValue": "order paid" if status == 200 else "order failed"},
               "traceId": trace, "spanId": span, "attributes": attributes({"http.response.status_code": status})}
        print(json.dumps({"level": severity["severityText"], "msg": log["body"]["stringValue"], "trace_id": trace, "span_id": span}), file=sys.stderr, flush=True)
        telemetry.request(spans if sampled else [], log, labels, (done - begun) / 1e9, trace, span)

    def log_message(self, *_):
        pass  # the record above


def main():
    if PROTOCOL == "grpc":
        sys.exit("OTEL_EXPORTER_OTLP_PROTOCOL=grpc: checkout.py sends OTLP over HTTP as JSON only; "
                 "unset it, and OTEL_EXPORTER_OTLP_ENDPOINT if that is a gRPC port such as 4317")
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080), Handler)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on 127.0.0.1:{server.server_port}, telemetry to {ENDPOINT}", file=sys.stderr, flush=True)
    while not stop.wait(INTERVAL):
        telemetry.export()
    server.shutdown()
    telemetry.export()


if __name__ == "__main__":
    main()

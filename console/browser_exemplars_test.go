package main

import (
	"reflect"
	"testing"
)

// Exemplars are at their values, also below the lines of a p99, and wholly above the axis.
func TestExemplarsWithinPlot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, custom, want string }{
		{"logarithmic", `{ scaleDistribution: { type: "log", log: 10 } }`, `[true,true,true]`},
		{"linear", `{}`, `[true,false,true]`}, // a slow one does not flatten the lines
	} {
		var got, want any
		inBrowser(t, "panels/timeseries.js", `await (async () => {
			const body = document.createElement("div");
			body.style.cssText = "width: 600px; height: 300px; display: flex; flex-direction: column";
			document.body.append(body);
			const panel = { options: {}, fieldConfig: { defaults: { unit: "s", custom: `+tt.custom+` } } };
			const p = m.create(body, { panel, chart: {}, title: "x", sync: "x", zoom() {}, zoomOut() {} });
			const values = [0.029, 0.06, 50];
			p.draw({ frames: [{ name: "p99", refId: "A", values: [0.05, 0.1, 0.07] }], times: [100, 115, 130], start: 100, end: 130, step: 15,
				exemplars: values.map((value, i) => ({ time: 105 + i * 10, value, trace: "t" + i, labels: {} })) });
			await new Promise((r) => setTimeout(r));
			const plot = body.querySelector(".u-over").getBoundingClientRect();
			const y = [...body.querySelectorAll(".exemplar")].map((a) => { const b = a.getBoundingClientRect(); return (b.top + b.bottom) / 2; });
			p.destroy();
			body.remove();
			return [y[0] < plot.bottom - 6.5, y[2] > plot.top + 6.5, y.length === 3 && y.every((v) => v >= plot.top + 5.9 && v <= plot.bottom - 5.9)];
		})()`, &got)
		inBrowser(t, "panels/timeseries.js", tt.want, &want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
	}
}

package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Text has a contrast of at least 4.5:1 in both themes (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	var got struct {
		Pairs int
		Low   []string
	}
	inBrowser(t, "lib/colours.js", `(() => {
		const light = (hex) => m.rgb(hex).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
		const root = document.documentElement, before = root.dataset.theme, low = [];
		let pairs = 0;
		for (const theme of ["light", "dark"]) {
			root.dataset.theme = theme;
			document.dispatchEvent(new Event("theme"));
			const check = (what, a, b) => { pairs++; const c = contrast(a, b); if (!(c >= 4.5)) low.push(theme + ": " + what + " " + c.toFixed(2)); };
			for (const back of ["bg", "card", "hover"]) for (const text of ["ink", "muted", "link", "good", "warn", "bad"]) check(text + " on " + back, m.prop(text), m.prop(back));
			for (const s of ["good", "warn", "bad"]) { check(s + " badge", m.prop(s), m.prop(s + "-bg")); check("ink on " + s, m.prop("ink"), m.prop(s + "-bg")); }
			check("code of a fault", m.prop("ink"), m.prop("warn-bg"));
			check("primary button", m.prop("card"), m.prop("link"));
			check("tip", m.prop("card"), m.prop("ink"));
			// Values in panels have the colours of series and thresholds, by Grafana's names.
			for (const back of ["card", "bg"]) for (let i = 1; i < 9; i++) check("c" + i + " on " + back, m.prop("c" + i), m.prop(back));
			for (const name of ["green", "yellow", "orange", "red", "blue", "purple", "text", "dark-green", "semi-dark-red"]) {
				check(name, m.colour(name), m.prop("card"));
				check("text on " + name, m.prop("ink"), m.mix(m.prop("card"), m.colour(name), 0.22));
			}
		}
		if (before) root.dataset.theme = before; else delete root.dataset.theme;
		document.dispatchEvent(new Event("theme"));
		return { pairs, low };
	})()`, &got)
	if got.Pairs < 100 || len(got.Low) > 0 {
		t.Errorf("of %d pairs of colours, too low contrast: %s", got.Pairs, strings.Join(got.Low, ", "))
	}
}

// Exemplars have the minimum target size (WCAG 2.2, 2.5.8), and a click selects the nearest.
func TestExemplarTargets(t *testing.T) {
	var got struct {
		Nearest []int
		Sizes   [][]float64
		Near    string
	}
	inBrowser(t, "lib/exemplars.js", `await (async () => {
		const el = document.createElement("div");
		Object.assign(el.style, { width: "400px", height: "150px", position: "relative" });
		document.body.append(el);
		const { mount } = await import(`+assets+` + "lib/chart.js");
		const chart = mount(el, { series: [{}, {}], axes: [{}, {}] }, [[100, 130], [1, 4]], { start: 100, end: 130, sync: "exemplars", label: "x", tip: () => null });
		await null;
		const layer = m.exemplarLayer(chart, "y", { unit: "s" });
		layer.fill([{ time: 110, value: 2, trace: "a", labels: {} }, { time: 110.3, value: 2, trace: "b", labels: {} }]);
		const links = [...el.querySelectorAll(".exemplar")], box = links[0].getBoundingClientRect();
		links[1].dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: box.left + 11, clientY: box.top + 12 }));
		const near = el.querySelector(".exemplar.near")?.getAttribute("href") ?? "none";
		const sizes = links.map((a) => [a.offsetWidth, a.offsetHeight]);
		chart.destroy();
		el.remove();
		return { nearest: [m.nearest([[0, 0], [10, 0]], 4, 0), m.nearest([[0, 0], [10, 0]], 6, 3), m.nearest([[0, 0]], 0, 13), m.nearest([], 0, 0)], sizes, near };
	})()`, &got)
	if !reflect.DeepEqual(got.Nearest, []int{0, 1, -1, -1}) || !reflect.DeepEqual(got.Sizes, [][]float64{{24, 24}, {24, 24}}) || got.Near != "/trace/a" {
		t.Errorf("%+v", got)
	}
}

// The keyboard reaches the dots of the trace chart, in order of time.
func TestScatterByKeyboard(t *testing.T) {
	t.Parallel()
	p := newTracesPage(t)
	p.open("/traces")
	p.want(`(() => {
		const links = [...document.querySelectorAll(".trace-scatter a")], here = () => document.activeElement.getAttribute("href");
		const first = links.filter((a) => a.getAttribute("tabindex") === "0").map((a) => a.getAttribute("href"));
		links.find((a) => a.getAttribute("tabindex") === "0").focus();
		const way = [here()];
		for (const key of ["ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowRight", "End", "Home"]) {
			document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
			way.push(here());
		}
		return [links.length, first, way.map((h) => h.slice(-2)), document.activeElement.getAttribute("aria-label").includes("loadgen GET /a · 100 µs · 3 spans")];
	})()`, `[3,["/trace/e1"],["e1","a2","a1","a1","a2","e1","a1"],true]`)
	p.do(chromedp.KeyEvent("\r"))
	p.until(`location.pathname === "/trace/a1" && document.querySelector(".wf-row")`)
	// A link in an SVG does not reload the document, either.
	p.want(`performance.getEntriesByType("navigation")[0].name.endsWith("/traces")`, `true`)
	p.quiet("")
}

package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

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

// The Explore page in both themes and on a phone: each control has a name and a size of at least 24 px, text has a
// contrast of at least 4.5:1 to what is behind it, and nothing is wider than the page. Prometheus is down, so that there is an error.
func TestExploreAccess(t *testing.T) {
	browser := modules(t)
	home, err := chromedp.Run(browser, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	tab, done := chromedp.NewContext(browser)
	defer done()
	type found struct {
		Texts, Controls, Errors int
		Wrong                   []string
	}
	for _, width := range []int64{1280, 390} {
		for _, theme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%s %d", theme, width), func(t *testing.T) {
				if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 900), chromedp.Navigate(strings.Replace(home, "/dashboards", "/explore?q=up&q=rate(up[1m])&hide=B", 1))); err != nil {
					t.Fatal(err)
				}
				if _, err := chromedp.Run(tab, chromedp.Poll[bool](`document.getElementById("main")?.dataset.loaded === "true"`, chromedp.WithPollingTimeout(2*time.Minute))); err != nil {
					t.Fatal(err)
				}
				got, err := chromedp.Run(tab, chromedp.Evaluate[found](fmt.Sprintf(exploreAccess, theme)))
				if err != nil {
					t.Fatal(err)
				}
				if got.Texts < 20 || got.Controls < 14 || got.Errors == 0 {
					t.Errorf("%d texts, %d controls and %d errors were checked", got.Texts, got.Controls, got.Errors)
				}
				for _, w := range got.Wrong {
					t.Error(w)
				}
			})
		}
	}
}

const exploreAccess = `(() => {
	document.documentElement.dataset.theme = %q;
	const main = document.getElementById("main"), wrong = [];
	const parse = (c) => { const m = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(c); return m ? [m[1] / 255, m[2] / 255, m[3] / 255, m[4] === undefined ? 1 : Number(m[4])] : null; };
	const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const behind = (e) => { let back = [0, 0, 0, 0]; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c) back = back[3] === 0 ? c : over(back, c); if (back[3] === 1) return back; } return over(back, [1, 1, 1, 1]); };
	const light = (c) => c.slice(0, 3).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const seen = (e) => e.getClientRects().length > 0 && !e.closest(".visually-hidden");
	let texts = 0;
	const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.textContent.trim() || !seen(e) || e.closest(":disabled, option")) continue;
		const back = behind(e), [a, b] = [light(over(parse(getComputedStyle(e).color), back)), light(back)].sort((x, y) => y - x);
		texts++;
		if ((a + 0.05) / (b + 0.05) < 4.5) wrong.push("contrast " + ((a + 0.05) / (b + 0.05)).toFixed(2) + ": " + walker.currentNode.textContent.trim().slice(0, 40));
	}
	const controls = [...main.querySelectorAll('button, summary, input, select, [role="combobox"]')].filter(seen);
	for (const e of controls) {
		const name = e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label")?.textContent.trim();
		const box = (e.matches("input") ? e.closest("label") ?? e : e).getBoundingClientRect(), what = e.outerHTML.slice(0, 80);
		if (!name) wrong.push("no name: " + what);
		if (box.width < 24 || box.height < 24) wrong.push(Math.round(box.width) + "×" + Math.round(box.height) + " px: " + what);
		if (e.tabIndex < 0) wrong.push("not in the tab order: " + what);
	}
	if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is " + document.documentElement.scrollWidth + " px wide");
	return { Texts: texts, Controls: controls.length, Errors: main.querySelectorAll(".query-row .problem[role=alert]").length, Wrong: wrong };
})()`

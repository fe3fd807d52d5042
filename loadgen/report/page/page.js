// Draws the charts. Redraws them when the theme or the width changes.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const drawn = new Map();

  function draw(element, chart) {
    drawn.get(element)?.destroy();
    drawn.delete(element);
    element.replaceChildren();
    const made = chart(data);
    element.classList.toggle("empty", !made);
    if (!made) {
      element.textContent = "No requests";
      element.dataset.drawn = "empty";
      return;
    }
    const size = { width: Math.max(element.clientWidth, 200), height: 270 };
    const hooks = Object.assign({}, made.options.hooks);
    hooks.draw = (hooks.draw || []).concat(() => { element.dataset.drawn = "yes"; });
    drawn.set(element, new uPlot(Object.assign({}, size, made.options, { hooks }), made.columns, element));
    if (made.below) element.append(made.below);
  }

  const charts = { rates, times, heat, percentiles };
  function all() {
    for (const name in charts) draw(document.getElementById(name), charts[name]);
  }
  all();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  const watch = new ResizeObserver(list => list.forEach(({ target }) => {
    const u = drawn.get(target);
    if (u && target.clientWidth > 0 && u.width !== target.clientWidth) u.setSize({ width: target.clientWidth, height: u.height });
  }));
  for (const name in charts) watch.observe(document.getElementById(name));
})();

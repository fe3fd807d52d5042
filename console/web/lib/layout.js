// The layout of panels: rows with 24 columns each.

// sections returns [{row, panels}]: the panels before the first row, then those of each row. A
// panel's y is relative to its section.
export function sections(dashboard) {
  const out = [{ row: null, panels: [] }];
  const ordered = [...(dashboard.panels ?? [])].sort((a, b) => (a.gridPos?.y ?? 0) - (b.gridPos?.y ?? 0) || (a.gridPos?.x ?? 0) - (b.gridPos?.x ?? 0));
  for (const p of ordered) {
    if (p.type === "row") out.push({ row: p, panels: [...(p.panels ?? [])] });
    else out.at(-1).panels.push(p);
  }
  return out.filter((s) => s.row || s.panels.length).map((s) => {
    const top = Math.min(...s.panels.map((p) => p.gridPos?.y ?? 0));
    return { row: s.row, panels: s.panels.map((panel) => ({ panel, ...place(panel.gridPos, top) })) };
  });
}

function place(pos, top) {
  const { x = 0, y = 0, w = 24, h = 8 } = pos ?? {};
  const width = Math.min(24, Math.max(1, w)), left = Math.min(24 - width, Math.max(0, x));
  return { x: left, y: y - top, w: width, h: Math.max(2, h) };
}

// halves reports which panels of a section share a row in the narrow layout: pairs of small
// panels that follow each other. A single one has the full width.
export function halves(placed) {
  const small = placed.map(({ panel, w }) => (panel.type === "stat" || panel.type === "gauge") && w <= 8);
  const half = small.map(() => false);
  for (let i = 0; i + 1 < small.length; i++) {
    if (small[i] && small[i + 1] && !half[i]) half[i] = half[i + 1] = true;
  }
  return half;
}

// The subset of Markdown that text panels use: headings, paragraphs, lists, links, code, bold.
// The result is elements; HTML in the text stays text.

import { h } from "./dom.js";

// href allows links within the console and to http(s) URLs only (no javascript: …).
export const href = (url) => (/^(https?:\/\/|\/(?!\/)|#|\?)/.test(url) ? url : null);

// inline returns the nodes of a line.
export function inline(text) {
  const nodes = [], pattern = /`([^`]+)`|\*\*(.+?)\*\*|\[([^\]]+)\]\(([^)\s]+)\)|(?:^|(?<=\s|\())\*([^*\s][^*]*)\*/g;
  let from = 0;
  for (const m of text.matchAll(pattern)) {
    if (m.index > from) nodes.push(text.slice(from, m.index));
    from = m.index + m[0].length;
    if (m[1]) nodes.push(h("code", null, m[1]));
    else if (m[2]) nodes.push(h("strong", null, inline(m[2])));
    else if (m[3]) nodes.push(href(m[4]) ? h("a", { href: href(m[4]) }, inline(m[3])) : m[0]);
    else nodes.push(h("em", null, m[5]));
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

// markdown returns the elements of a text.
export function markdown(text) {
  const out = [], lines = text.replace(/\r/g, "").split("\n");
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) out.push(h("p", null, inline(paragraph.join(" "))));
    paragraph = [];
  };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const heading = /^(#{1,4})\s+(.*)$/.exec(line), item = /^\s*(?:[-*]|(\d+)\.)\s+(.*)$/.exec(line);
    if (line.startsWith("```")) {
      flush();
      const code = [];
      while (++i < lines.length && !lines[i].startsWith("```")) code.push(lines[i]);
      out.push(h("pre", null, h("code", null, code.join("\n"))));
    } else if (heading) {
      flush();
      out.push(h(`h${Math.min(6, heading[1].length + 2)}`, null, inline(heading[2])));
    } else if (item) {
      flush();
      const kind = item[1] ? "ol" : "ul";
      let list = out.at(-1);
      if (list?.localName !== kind) out.push((list = h(kind, null)));
      list.append(h("li", null, inline(item[2])));
    } else if (/^\s+\S/.test(line) && /^(ul|ol)$/.test(out.at(-1)?.localName) && !paragraph.length) {
      out.at(-1).lastChild.append(" ", ...inline(line.trim()));
    } else if (line.trim() === "") flush();
    else paragraph.push(line.trim());
  }
  flush();
  return out;
}

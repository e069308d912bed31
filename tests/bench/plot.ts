/** Bar charts as plain SVG that reads on a light and on a dark page. */

/** One chart. */
export interface Panel {
  title: string;
  bars: Bar[];
}

/** One bar. */
export interface Bar {
  label: string;
  value: number;
  /** What stands at its end. */
  text: string;
  isOurs: boolean;
}

const width = 760;
const barLeft = 210;
const barRight = 640;
const rowHeight = 24;
const panelHead = 40;
const margin = 16;

const style = `
  .page { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .bar { fill: #9aa4b0 }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .bar { fill: #6e7681 }
    .ours { fill: #4493f8 }
  }`;

/** Draws the panels below each other, each on a scale of its own from zero. */
export function plot(panels: readonly Panel[]): string {
  let y = margin;
  const drawn = panels.map((panel) => {
    const top = y;
    y += panelHead + panel.bars.length * rowHeight;
    return drawPanel(panel, top);
  });
  const height = y + margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<style>${style}
</style>
<rect class="page" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${drawn.join("\n")}
</svg>
`;
}

function drawPanel({ title, bars }: Panel, top: number): string {
  const largest = Math.max(...bars.map(({ value }) => value));
  const rows = bars.map(({ label, value, text, isOurs }, row) => {
    const y = top + panelHead + row * rowHeight;
    const length = Math.max((value / largest) * (barRight - barLeft), 1);
    return `<text x="${barLeft - 10}" y="${y + 13}" text-anchor="end">${escape(label)}</text>
<rect class="${isOurs ? "ours" : "bar"}" x="${barLeft}" y="${y}" width="${length.toFixed(1)}" height="${rowHeight - 6}" rx="2"/>
<text x="${(barLeft + length + 8).toFixed(1)}" y="${y + 13}">${escape(text)}</text>`;
  });
  return [`<text class="title" x="${margin}" y="${top + 22}">${escape(title)}</text>`, ...rows].join("\n");
}

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Bar charts as SVG files that are readable on light and dark pages. */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

/** One chart. */
export interface Panel {
  title: string;
  bars: Bar[];
}

/** One bar. */
export interface Bar {
  label: string;
  value: number;
  /** Shown at the end of the bar. */
  text: string;
  isOurs: boolean;
}

const light = { page: "#ffffff", text: "#1f2328", bar: "#9aa4b0", ours: "#0969da" };
const dark: typeof light = { page: "#0d1117", text: "#e6edf3", bar: "#6e7681", ours: "#4493f8" };

/** Vega writes colors as attributes, which CSS can override. */
const darkStyle = Object.entries(light).map(([name, color]) => `[fill="${color}"] { fill: ${dark[name as keyof typeof dark]} }`);

const width = 560;
const labelWidth = 210;
const rowHeight = 24;
/** Share of the width that the longest bar leaves for its text. */
const textShare = 0.25;

/** Draws the panels below each other, each on its own scale that starts at zero. Resolves to the text of an SVG file. */
export async function plot(panels: readonly Panel[]): Promise<string> {
  const spec: TopLevelSpec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: light.page,
    padding: 16,
    spacing: 20,
    config: {
      aria: false,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      title: { anchor: "start", frame: "bounds", color: light.text, fontSize: 13, fontWeight: 600, offset: 10 },
      axis: {
        labelColor: light.text,
        labelFontSize: 13,
        labelLimit: 0,
        labelAlign: "left",
        labelPadding: labelWidth,
        domain: false,
        ticks: false,
        title: null,
      },
      text: { color: light.text, fontSize: 13, align: "left", dx: 8 },
    },
    vconcat: panels.map(panelSpec),
  };
  const svg = await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
  return `${svg.replace(">", `>\n<style>@media (prefers-color-scheme: dark) { ${darkStyle.join(" ")} }</style>\n`)}\n`;
}

type LayerSpec = Extract<Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number], { layer: unknown }>;

function panelSpec({ title, bars }: Panel): LayerSpec {
  const longest = Math.max(...bars.map(({ value }) => value));
  return {
    title,
    width,
    height: { step: rowHeight },
    data: { values: bars },
    encoding: {
      y: { field: "label", type: "nominal", sort: null },
      x: { field: "value", type: "quantitative", axis: null, scale: { domain: [0, longest / (1 - textShare)], nice: false } },
    },
    layer: [
      {
        mark: { type: "bar", height: rowHeight - 6 },
        encoding: { color: { condition: { test: "datum.isOurs", value: light.ours }, value: light.bar } },
      },
      { mark: "text", encoding: { text: { field: "text" } } },
    ],
  };
}

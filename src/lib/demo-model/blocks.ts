/** The blocks of demo answers, and how they are written: as C1's components, or as plain text. */

/** One block of an answer. */
export type DemoBlock =
  | { type: "text"; text: string }
  | { type: "notice"; title: string; text: string }
  | { type: "header"; title: string; subtitle: string }
  | { type: "table"; columns: readonly string[]; rows: readonly (readonly string[])[] }
  | { type: "chart"; title: string; labels: readonly string[]; series: readonly DemoSeries[] }
  | { type: "form"; name: string; fields: readonly DemoField[]; submit: string }
  | { type: "suggestions"; prompts: readonly string[] };

/** The bars of one color. */
interface DemoSeries {
  category: string;
  values: readonly number[];
}

/** An input of a form: a list if it has options, otherwise a line of text. */
interface DemoField {
  name: string;
  label: string;
  placeholder: string;
  options?: readonly string[];
}

/** The answer in C1's markup: one card as JSON, escaped because it is in an XML element. */
export function renderC1(blocks: readonly DemoBlock[]): string {
  const card = component("Card", { children: blocks.map(c1Component) });
  return `<content thesys="true">${escapeMarkup(JSON.stringify({ component: card, error: null }))}</content>`;
}

/** The answer as plain text, with simple Markdown that is readable in a terminal. */
export function renderText(blocks: readonly DemoBlock[]): string {
  return blocks.map(plainText).join("\n\n");
}

function c1Component(block: DemoBlock): object {
  switch (block.type) {
    case "text":
      return component("TextContent", { textMarkdown: block.text });
    case "notice":
      return component("CalloutV2", { variant: "info", title: block.title, description: block.text });
    case "header":
      return component("Header", { title: block.title, subtitle: block.subtitle });
    case "table":
      return component("Table", {
        tableHeader: { rows: block.columns.map((children) => ({ children, type: "string" })) },
        tableBody: { rows: block.rows.map((children) => ({ children })) },
      });
    case "chart": {
      const header = component("InlineHeader", { heading: block.title });
      return component("BarChartV2", { chartData: { header, data: { labels: block.labels, series: block.series } } });
    }
    case "form": {
      // The browser checks and sends the form only if the button's name says "submit".
      const submit = component("Button", { children: block.submit, name: "submit", variant: "primary" });
      return component("Form", {
        name: block.name,
        children: block.fields.map(({ label, ...field }) => ({ label, children: c1Input(field) })),
        buttons: component("ButtonGroup", { children: [submit] }),
      });
    }
    case "suggestions":
  }
  return component("FollowUpBlock", { followUpText: block.prompts });
}

function c1Input({ options, ...props }: Omit<DemoField, "label">): object {
  if (options === undefined) return component("Input", props);
  const children = options.map((option) => component("SelectItem", { value: option, children: option }));
  return component("Select", { ...props, children });
}

function component(name: string, props: object): object {
  return { component: name, props };
}

function escapeMarkup(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function plainText(block: DemoBlock): string {
  switch (block.type) {
    case "text":
      return block.text;
    case "notice":
      return `${block.title}: ${block.text}`;
    case "header":
      return `${block.title}\n${block.subtitle}`;
    case "table":
      return [block.columns, ...block.rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
    case "chart":
      return [`${block.title}:`, ...block.series.map((series) => seriesText(series, block.labels))].join("\n");
    case "form":
      return block.fields.map(({ label, placeholder }) => `${label} ${placeholder}`).join("\n");
    case "suggestions":
  }
  return `You could ask: ${block.prompts.map((prompt) => `"${prompt}"`).join(", ")}`;
}

function seriesText({ category, values }: DemoSeries, labels: readonly string[]): string {
  return `${category}: ${values.map((value, index) => `${labels[index]} ${value}`).join(", ")}`;
}

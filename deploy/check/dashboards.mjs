// Writes each dashboard as TypeScript that holds it against Grafana's own types: the dashboard, and
// what each panel's kind takes. The compiler says the rest.
import { readFileSync } from "node:fs";

const kinds = {
  stat: "stat/panelcfg/x/StatPanelCfg",
  table: "table/panelcfg/x/TablePanelCfg",
  timeseries: "timeseries/panelcfg/x/TimeSeriesPanelCfg",
  "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg",
};
const name = (kind) => kind.replace("-", "_");

console.log(`import type { Dashboard, DataQuery } from "@grafana/schema";`);
for (const [kind, path] of Object.entries(kinds)) {
  console.log(
    `import type * as ${name(kind)} from "@grafana/schema/dist/esm/raw/composable/${path}_types.gen.d.ts";`,
  );
}
// JSON has the values of enums, not the enums.
console.log(`
type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Custom<T> = T extends { FieldConfig: infer C } ? C : never;
type Query = DataQuery & { expr: string; legendFormat: string; range: boolean; instant: boolean;
  format?: "table"; editorMode: "code" };
function board(_: Plain<Dashboard>) {}
function options<T>(_: Partial<Plain<T>>) {}
function query(_: Plain<Query>) {}
`);
for (const path of process.argv.slice(2)) {
  const dashboard = JSON.parse(readFileSync(path, "utf8"));
  console.log(`// ${path}\nboard(${JSON.stringify(dashboard)});`);
  for (const panel of dashboard.panels) {
    const title = `// ${path}, ${panel.title}`;
    if (kinds[panel.type]) {
      const of = name(panel.type);
      console.log(`${title}\noptions<${of}.Options>(${JSON.stringify(panel.options)});`);
      const custom = panel.fieldConfig.defaults.custom;
      if (custom) {
        console.log(`${title}\noptions<${of}.FieldConfig>(${JSON.stringify(custom)});`);
      }
    } else if (!["row", "alertlist"].includes(panel.type)) {
      throw new Error(`${path}, ${panel.title}: ${panel.type} is not checked`);
    }
    for (const target of panel.targets ?? []) {
      console.log(`${title}\nquery(${JSON.stringify(target)});`);
    }
  }
}

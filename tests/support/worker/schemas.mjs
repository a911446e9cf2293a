// Says of each value on standard input, {schema, value}, whether the schema that @trigger.dev/core publishes takes it.
import * as core from "@trigger.dev/core/v3";

let text = "";
for await (const part of process.stdin) text += part;
const told = JSON.parse(text).map(({ schema, value }) => {
  const found = core[schema].safeParse(value);
  return found.success ? null : found.error.issues.map((one) => `${one.path.join(".")}: ${one.message}`).join("; ") || "refused";
});
console.log(JSON.stringify(told));

// Builds an exported worker with the builder of Trigger.dev's own command, as `deploy` does, without login or network.
// These are internal paths of one version. Arguments: the worker's folder, the destination. Prints the manifest.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [worker, destination] = process.argv.slice(2);
const inside = (path) => import(pathToFileURL(join(import.meta.dirname, "node_modules/trigger.dev/dist/esm", path)).href);
const { loadConfig } = await inside("config.js");
const { buildWorker } = await inside("build/buildWorker.js");
const resolvedConfig = await loadConfig({ cwd: worker });
const manifest = await buildWorker({
  target: "deploy", environment: "prod", destination, resolvedConfig, rewritePaths: true, envVars: {}, plain: true,
});
console.log("\n" + JSON.stringify({ files: manifest.files, image: manifest.image ?? null }));
process.exit(0);

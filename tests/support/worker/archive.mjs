// Packs a folder as Trigger.dev's own command does for a build on its servers. Arguments: the folder, the archive.
// An internal path of one version.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, archive] = process.argv.slice(2);
const file = join(import.meta.dirname, "node_modules/trigger.dev/dist/esm/deploy/archiveContext.js");
const { createContextArchive } = await import(pathToFileURL(file).href);
await createContextArchive(folder, archive);

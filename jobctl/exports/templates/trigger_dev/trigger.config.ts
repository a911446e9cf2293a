// https://trigger.dev/docs/config/config-file
import type { BuildExtension } from "@trigger.dev/build";
import { additionalFiles } from "@trigger.dev/build/extensions/core";
import { defineConfig } from "@trigger.dev/sdk";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE_PYTHON, PROJECT_FILES } from "./src/project.js";

export default defineConfig({
  project: process.env.TRIGGER_PROJECT_REF ?? "proj_set_TRIGGER_PROJECT_REF",
  dirs: ["./src/trigger"],
  runtime: "node-22",
  maxDuration: 3630,
  build: { extensions: [python(), additionalFiles({ files: PROJECT_FILES })] },
});

/** Puts a Python with jobctl into the deployed image. In development the machine's own is used. */
function python(): BuildExtension {
  return {
    name: "jobctl-python",
    onBuildComplete(context) {
      if (context.target !== "deploy") return;
      const folder = IMAGE_PYTHON.replace(/\/bin\/python$/, "");
      const requirements = readFileSync(join(context.workingDir, "requirements.txt"), "utf8")
        .split("\n")
        .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
        .filter((line) => line !== "")
        .map((line) => `'${line.replaceAll("'", `'\\''`)}'`);
      context.addLayer({
        id: "jobctl-python",
        image: {
          // not as pkgs: those are installed after these lines have run
          instructions: [
            "RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv git" +
              " && rm -rf /var/lib/apt/lists/*",
            `RUN python3 -m venv ${folder}`,
            `RUN ${IMAGE_PYTHON} -m pip install --no-cache-dir ${requirements.join(" ")}`,
          ],
        },
      });
    },
  };
}

// https://trigger.dev/docs/config/config-file
import type { BuildExtension } from "@trigger.dev/build";
import { additionalFiles } from "@trigger.dev/build/extensions/core";
import { defineConfig } from "@trigger.dev/sdk";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE_FILES, IMAGE_PYTHON } from "./src/project.js";

export default defineConfig({
  project: process.env.TRIGGER_PROJECT_REF ?? "proj_set_TRIGGER_PROJECT_REF",
  dirs: ["./src/trigger"],
  runtime: "node-24", // or "node-22"
  maxDuration: 3630,
  build: { extensions: [python(), additionalFiles({ files: IMAGE_FILES })] },
});

/** Installs a Python with jobctl in the deployed image. In development the machine's own is used. */
function python(): BuildExtension {
  return {
    name: "jobctl-python",
    onBuildComplete(context) {
      if (context.target !== "deploy") return;
      const packages = readFileSync(join(context.workingDir, "packages.txt"), "utf8")
        .split("\n")
        .map((line) => line.replace(/#.*$/, "").trim())
        .filter((line) => line !== "");
      const wanted = ["python3", "python3-venv", "git", ...packages].join(" ");
      context.addLayer({
        id: "jobctl-python",
        image: {
          // not as pkgs: those are installed after these instructions
          instructions: [
            `RUN apt-get update && apt-get install -y --no-install-recommends ${wanted} && rm -rf /var/lib/apt/lists/*`,
            "COPY requirements.txt *.whl /opt/jobctl-requirements/",
            `RUN python3 -m venv ${IMAGE_PYTHON.replace(/\/bin\/python$/, "")}`,
            // in that folder: the path of the wheel is relative to it
            `RUN cd /opt/jobctl-requirements && ${IMAGE_PYTHON} -m pip install --no-cache-dir -r requirements.txt`,
          ],
        },
      });
    },
  };
}

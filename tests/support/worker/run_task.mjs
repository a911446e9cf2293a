// Runs a task of an exported worker without the cloud. Arguments: the folder of compiled files, and a JSON of
// {task, payload, level: "function" | "engine" | "list", attempt, abortAfterLine}. The last line printed is the result.
// The order matters: the catalog stands before the tasks are imported.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, asked] = [process.argv[2], JSON.parse(process.argv[3])];
const core = await import("@trigger.dev/core/v3");
const { TriggerTracer } = await import("@trigger.dev/core/v3/tracer");
const workers = await import("@trigger.dev/core/v3/workers");
const { runInMockTaskContext } = await import("@trigger.dev/core/v3/test");

const catalog = new workers.StandardResourceCatalog();
core.resourceCatalog.setGlobalResourceCatalog(catalog);
for (const file of readdirSync(join(dist, "src/trigger")).filter((name) => name.endsWith(".js"))) {
  const path = join(dist, "src/trigger", file);
  catalog.setCurrentFileContext(path, file);
  await import(pathToFileURL(path).href);
  catalog.clearCurrentFileContext();
}

const result = asked.level === "list" ? catalog.listTaskManifests() : await run();
console.log("\n" + JSON.stringify(result));
process.exit(0);

async function run() {
  const task = catalog.getTask(asked.task);
  const stop = new AbortController();
  if (asked.abortAfterLine) {
    const log = console.log;
    console.log = (...words) => {
      log(...words);
      if (String(words[0]).includes(asked.abortAfterLine)) stop.abort();
    };
  }
  const run = { id: "run_test", tags: [], isTest: false, isReplay: false, createdAt: new Date(), startedAt: new Date() };
  return runInMockTaskContext(async ({ ctx }) => {
    if (asked.level === "function") {
      try {
        return { output: await task.fns.run(asked.payload, { ctx, signal: stop.signal }) };
      } catch (error) {
        return { error: error.message, final: error.name === "AbortTaskRunError" };
      }
    }
    const packet = await core.stringifyIO(asked.dates ? { ...asked.payload, timestamp: new Date(asked.payload.timestamp) } : asked.payload);
    const tracer = new TriggerTracer({ name: "tests", version: "1" });
    const executor = new workers.TaskExecutor(task, {
      tracingSDK: { asyncResourceDetector: {} },
      tracer,
      consoleInterceptor: { intercept: (_, call) => call() },
      retries: { enabledInDev: true, default: { maxAttempts: 1 } },
    });
    const execution = {
      ...ctx,
      attempt: { number: asked.attempt ?? 1, startedAt: new Date() },
      run: { ...run, payload: packet.data, payloadType: packet.dataType, durationMs: 0, costInCents: 0, baseCostInCents: 0 },
      environment: { ...ctx.environment, type: "PRODUCTION" },
    };
    const { result } = await executor.execute(execution, { ...ctx, attempt: execution.attempt }, stop.signal);
    return { ...result, output: result.output ? (await core.parsePacket({ data: result.output, dataType: result.outputType })) : undefined };
  }, { ctx: { run, attempt: { number: asked.attempt ?? 1, startedAt: new Date() }, environment: { type: "PRODUCTION" } } });
}

// Runs a job of jobctl as a child process, and reports its end to Trigger.dev.
// https://trigger.dev/docs/errors-retrying: AbortTaskRunError ends a run without another attempt.
import { AbortTaskRunError, type TaskRunContext } from "@trigger.dev/sdk";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { IMAGE_PYTHON, PROJECT_BESIDE, PROJECT_IN_IMAGE } from "./project.js";

/** The output of `jobctl trigger --json`, and of a skipped run. */
export type Outcome = {
  job_id: string;
  status: "completed" | "failed" | "skipped";
  reason?: string | null;
  error?: string | null;
  retry?: boolean;
  [more: string]: unknown;
};

type Refusal = { error: { code: string; message: string; hint: string | null } };

type RunParams = { ctx: TaskRunContext; signal: AbortSignal };

// jobctl's exit codes: see jobctl help exit-codes
const DONE = 0;
const WRONG_USE = 2;
const ALREADY_RUNNING = 3;
const NOT_CONFIGURED = 4;

/** A Python without jobctl, or without a package that it needs: another attempt would fail too. */
const NO_MODULE = /(^|: )No module named /;

const MAX_OUTPUT = 10 * 1024 * 1024;

/** Run a job to its end. Its output goes to the run's log, line by line. */
export async function runJob(id: string, payload: unknown, { ctx, signal }: RunParams): Promise<Outcome> {
  const given = isRecord(payload) ? payload : {};
  const words = ["-m", "jobctl", "trigger", id, "--local", "--no-retry", "--json"];
  const jobArguments = isRecord(given.arguments) ? JSON.stringify(given.arguments) : "";
  if (jobArguments) words.push("--arguments", "-");
  else if (given.dry_run === true) words.push("--dry-run");
  if (typeof given.timeout === "string") words.push("--timeout", given.timeout);

  const { code, killedBy, output, lastLine } = await spawnJobctl(
    words,
    jobArguments,
    environment(given, ctx),
    signal,
  );
  const document = parse(output);
  if (document !== null && "job_id" in document) {
    const ended = document as Outcome;
    if (code === DONE) return ended;
    const message = ended.error ?? ended.reason ?? "the job failed";
    throw ended.retry === false ? new AbortTaskRunError(message) : new Error(message);
  }
  const message = refusal(document) ?? `jobctl ended with ${killedBy ?? code} and no output`;
  if (code === ALREADY_RUNNING) return { job_id: id, status: "skipped", reason: "overlap", error: message };
  if (NO_MODULE.test(lastLine)) throw new AbortTaskRunError(`jobctl cannot be imported there: ${lastLine}`);
  if (code === WRONG_USE || code === NOT_CONFIGURED) throw new AbortTaskRunError(message);
  throw new Error(message);
}

function environment(given: Record<string, unknown>, ctx: TaskRunContext): NodeJS.ProcessEnv {
  const deployed = existsSync(IMAGE_PYTHON);
  const project = deployed ? PROJECT_IN_IMAGE : PROJECT_BESIDE;
  const scheduled = "scheduleId" in given;
  return {
    ...process.env,
    // so that jobs that run `python` find the packages of requirements.txt
    ...(deployed ? { PATH: [dirname(IMAGE_PYTHON), process.env.PATH].join(delimiter) } : {}),
    JOBCTL_PROJECT: process.env.JOBCTL_PROJECT ?? resolve(project),
    // the image's own folder may be read-only
    ...(deployed && !process.env.JOBCTL_STATE ? { JOBCTL_STATE: join(tmpdir(), "jobctl") } : {}),
    _JOBCTL_TRIGGER: scheduled ? "schedule" : "manual",
    // for the jobs
    TRIGGER_RUN_ID: ctx.run.id,
    TRIGGER_ATTEMPT: String(ctx.attempt.number),
    ...(scheduled ? { TRIGGER_SCHEDULED_FOR: iso(given.timestamp) } : {}),
  };
}

type Ended = { code: number | null; killedBy: string | null; output: string; lastLine: string };

function spawnJobctl(
  words: string[],
  input: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Ended> {
  const python = process.env.JOBCTL_PYTHON ?? (existsSync(IMAGE_PYTHON) ? IMAGE_PYTHON : "python3");
  return new Promise((done, fail) => {
    const child = spawn(python, words, { env, stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.on("error", () => {}); // it may end before it has read all
    child.stdin.end(input);
    let output = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text: string) => {
      if (output.length < MAX_OUTPUT) output += text;
    });
    let lastLine = "";
    createInterface({ input: child.stderr }).on("line", (line) => {
      lastLine = line;
      console.log(line);
    });
    // a cancelled run: jobctl ends the job with its children and records it
    const stop = () => void child.kill("SIGTERM");
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    child.on("error", (error) => fail(new AbortTaskRunError(`${python} cannot be started: ${error.message}`)));
    child.on("close", (code, killedBy) => {
      signal.removeEventListener("abort", stop);
      done({ code, killedBy, output, lastLine });
    });
  });
}

function parse(text: string): Outcome | Refusal | null {
  try {
    const found: unknown = JSON.parse(text);
    return isRecord(found) ? (found as Outcome | Refusal) : null;
  } catch {
    return null;
  }
}

function refusal(document: Outcome | Refusal | null): string | null {
  const error = document?.error;
  if (!isRecord(error)) return null;
  return error.hint ? `${error.message} (${error.hint})` : String(error.message);
}

/** A Date from the scheduler; a text if the task was triggered over the API. */
function iso(time: unknown): string {
  return time instanceof Date ? time.toISOString() : String(time ?? "");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

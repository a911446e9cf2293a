// The official client does to the server what jobctl does: every answer must parse, or it throws.
import { configure, runs, schedules, tasks } from "@trigger.dev/sdk";

configure({ baseURL: process.argv[2], accessToken: process.argv[3] });
const key = "jobctl:production:a-job";
const made = await schedules.create({ task: "a-job", cron: "0 9 * * *", deduplicationKey: key, externalId: "a-job", timezone: "UTC", window: "0m" });
await schedules.list({ page: 1, perPage: 100 });
await schedules.retrieve(made.id);
await schedules.update(made.id, { task: "a-job", cron: "0 10 * * *", timezone: "Europe/Berlin" });
await schedules.deactivate(made.id);
await schedules.activate(made.id);
await schedules.timezones();
const { id } = await tasks.trigger("a-job", {}, { idempotencyKey: ["x"], tags: ["jobctl"] });
const states = [];
for (let look = 0; look < 3; look++) states.push((await runs.retrieve(id)).status);
const page = await runs.list({ limit: 100, taskIdentifier: ["a-job", "b-job"], status: ["COMPLETED", "FAILED"], from: 1000 });
const listed = [];
for await (const run of page) listed.push(run.id);
await runs.cancel(id);
const replayed = await runs.replay(id);
await schedules.del(made.id);
let refused = "";
try {
  await schedules.create({ task: "a-job", cron: "*/30 * * * * *", deduplicationKey: key });
} catch (error) {
  refused = `${error.status} ${error.message}`;
}
console.log(JSON.stringify({ states, listed, id, replayed: replayed.id, refused }));
process.exit(0);

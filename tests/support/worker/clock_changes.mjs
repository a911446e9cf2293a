// The due times of each {expression, timezone, after, until} on standard input, in seconds, as the webapp's cron-parser
// has them: each searched for from the one before.
import parser from "cron-parser";

let text = "";
for await (const part of process.stdin) text += part;
const told = JSON.parse(text).map(({ expression, timezone, after, until }) => {
  const found = [];
  let at = new Date(after * 1000);
  for (;;) {
    at = parser.parseExpression(expression, { currentDate: at, tz: timezone }).next().toDate();
    if (at.getTime() > until * 1000) return found;
    found.push(at.getTime() / 1000);
  }
});
console.log(JSON.stringify(told));

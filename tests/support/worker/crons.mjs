// The next due times of each expression on standard input, as the webapp's cron-parser has them in UTC.
import parser from "cron-parser";

let text = "";
for await (const part of process.stdin) text += part;
const { start, count, expressions } = JSON.parse(text);
const told = expressions.map((expression) => {
  try {
    const times = parser.parseExpression(expression, { currentDate: new Date(start), tz: "UTC" });
    return Array.from({ length: count }, () => times.next().toISOString());
  } catch (error) {
    return [error.message];
  }
});
console.log(JSON.stringify(told));

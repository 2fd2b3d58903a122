// node drive.mjs hive|apollo JOB.json: does what the job says, as bench/peers/agent.py does with Forebay's agent.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { buildSchema } from "graphql";

const [, , module, file] = process.argv;
const job = JSON.parse(readFileSync(file, "utf8"));
const { make, awaited } = await import(`./${module}.mjs`);
const settled = () => new Promise((ready) => setTimeout(ready, 2));
const reporter = await make({ ...job, schema: buildSchema(job.schema), requests: [...job.warm, ...job.requests] });

// At most ten at once, so that timers and sockets have their turn; fails if this machine can't keep the pace.
async function pace(record, requests, rate, total) {
  const begun = performance.now();
  for (let done = 0; done < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * rate));
    if (due - done > 5 * rate) throw new Error("five seconds behind: this machine is too busy to measure outages");
    const until = Math.min(due, done + 10);
    const running = [];
    for (; done < until; done++) running.push(record(requests[done % requests.length]));
    await Promise.all(running);
    await new Promise((ready) => setTimeout(ready, done < due ? 0 : 5));
  }
}

async function batch(record, requests) {
  const begun = performance.now();
  for (const request of requests) {
    const running = record(request);
    if (awaited) await running;
  }
  const took = performance.now() - begun;
  await settled();
  return (took * 1000) / requests.length;
}

// Microseconds of each batch's calls, less those of the empty call for the same batch.
async function calls(requests, passes, size) {
  const differences = [];
  for (let pass = 0; pass < passes; pass++)
    for (let at = 0; at + size <= requests.length; at += size) {
      const part = requests.slice(at, at + size);
      const empty = await batch(reporter.empty, part);
      differences.push((await batch(reporter.record, part)) - empty);
    }
  return differences;
}

const answers = {
  async calls() {
    await calls(job.warm, 3, job.batch);
    return { differences: await calls(job.requests, job.passes, job.batch) };
  },
  async pace() {
    const record = job.empty ? reporter.empty : reporter.record;
    if (job.warm.length) await pace(record, job.warm, job.rate, job.warming * job.rate);
    const before = process.cpuUsage();
    await pace(record, job.requests, job.rate, job.total);
    if (job.close) await reporter.close();
    const { user, system } = process.cpuUsage(before);
    if (!job.close) await reporter.close();
    return { cpu: user + system };
  },
};

// What is compiled when it is first met is not measured.
for (const request of job.warm.length ? job.warm : job.requests) await reporter.empty(request);
console.log("ready");
await new Promise((go) => createInterface({ input: process.stdin }).once("line", go));
console.log(JSON.stringify(await answers[job.mode]()));
process.exit(0);

// Reads [base64 of a gzipped report] from standard input; writes [[[operation, client, version], requests]] of each.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Report } from "@apollo/usage-reporting-protobuf";

const counted = JSON.parse(readFileSync(0, "utf8")).map((body) => {
  const report = Report.decode(gunzipSync(Buffer.from(body, "base64")));
  const rows = new Map();
  const add = (name, client, version, requests) => {
    const key = JSON.stringify([name, client, version]);
    rows.set(key, (rows.get(key) ?? 0) + Number(requests));
  };
  for (const [key, { trace, statsWithContext }] of Object.entries(report.tracesPerQuery)) {
    const name = /^# (\S+)\n/.exec(key)[1];
    for (const { clientName, clientVersion } of trace) add(name, clientName, clientVersion, 1);
    for (const { context, queryLatencyStats } of statsWithContext)
      add(name, context.clientName, context.clientVersion, queryLatencyStats.requestCount);
  }
  return [...rows].map(([key, requests]) => [JSON.parse(key), requests]);
});
process.stdout.write(JSON.stringify(counted));

// pg-boss workers that post each job's data to a URL, and a client that enqueues:
//   node pgboss.mjs PACKAGE DATABASE TARGET prepare
//   node pgboss.mjs PACKAGE DATABASE TARGET work IN_FLIGHT
//   node pgboss.mjs PACKAGE DATABASE TARGET enqueue COUNT DUE STEP     (prints the seconds)
import http from "node:http";
import { pathToFileURL } from "node:url";
const [package_, database, target, command, ...rest] = process.argv.slice(2);
const { PgBoss } = await import(pathToFileURL(package_));
const QUEUE = "benchmark";
const CHUNK = 1000;
const WORKERS = 2;
const boss = new PgBoss(database);
boss.on("error", (error) => console.error(error));
await boss.start();

async function work(inFlight) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: inFlight });
  const post = (body) =>
    new Promise((resolve, reject) => {
      const request = http.request(target, { method: "POST", agent }, (answer) => {
        answer.resume();
        answer.on("end", () =>
          answer.statusCode === 200 ? resolve() : reject(new Error(String(answer.statusCode))));
      });
      request.on("error", reject);
      request.end(body);
    });
  const options = {
    batchSize: inFlight,
    localConcurrency: WORKERS,
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
  };
  await boss.work(QUEUE, options, (jobs) =>
    Promise.all(jobs.map((job) => post(JSON.stringify(job.data)))));
  console.log("ready");
}

async function enqueue(count, due, step) {
  const began = process.hrtime.bigint();
  for (let first = 0; first < count; first += CHUNK) {
    const size = Math.min(CHUNK, count - first);
    const jobs = Array.from({ length: size }, (_, n) => {
      const at = due + (first + n) * step;
      const data = { number: first + n, due: at, content: "Hello, this is your reminder." };
      return { data, startAfter: new Date(at / 1000) };
    });
    await boss.insert(QUEUE, jobs);
  }
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
}

if (command === "work") await work(Number(rest[0]));
else {
  if (command === "prepare") {
    await boss.createQueue(QUEUE);
    console.log(0);
  } else await enqueue(...rest.map(Number));
  await boss.stop({ graceful: false });
  process.exit(0);
}

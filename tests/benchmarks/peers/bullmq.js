// A BullMQ worker that posts each job's data to a URL, and a client that enqueues:
//   node bullmq.js PACKAGE REDIS_PORT work URL IN_FLIGHT
//   node bullmq.js PACKAGE REDIS_PORT enqueue COUNT IN_FLIGHT DUE STEP     (prints the seconds)
const http = require("node:http");
const [package_, redisPort, command, ...rest] = process.argv.slice(2);
const { Queue, Worker } = require(package_);
const connection = { host: "127.0.0.1", port: Number(redisPort), maxRetriesPerRequest: null };

async function work([url, inFlight]) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: Number(inFlight) });
  const post = (body) =>
    new Promise((resolve, reject) => {
      const request = http.request(url, { method: "POST", agent }, (answer) => {
        answer.resume();
        answer.on("end", () =>
          answer.statusCode === 200 ? resolve() : reject(new Error(String(answer.statusCode))));
      });
      request.on("error", reject);
      request.end(body);
    });
  const options = { connection, concurrency: Number(inFlight), removeOnComplete: true };
  const worker = new Worker("benchmark", (job) => post(JSON.stringify(job.data)), options);
  await worker.waitUntilReady();
  console.log("ready");
}

async function enqueue([count, inFlight, due, step]) {
  const queue = new Queue("benchmark", { connection });
  await queue.waitUntilReady();
  const began = process.hrtime.bigint();
  let next = 0;
  async function run() {
    while (next < count) {
      const number = next++;
      const at = due + number * step;
      const data = { number, due: at, content: "Hello, this is your reminder." };
      await queue.add("post", data, { delay: Math.max(0, at / 1000 - Date.now()) });
    }
  }
  await Promise.all(Array.from({ length: inFlight }, run));
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
  await queue.close();
}

if (command === "work") work(rest);
else enqueue(rest.map(Number)).then(() => process.exit(0));

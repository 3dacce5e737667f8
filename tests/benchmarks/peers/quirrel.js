// Starts Quirrel's API and worker: node quirrel.js PACKAGE PORT REDIS_PORT
const [package_, port, redisPort] = process.argv.slice(2);
const { runQuirrel } = require(`${package_}/dist/cjs/src/api/index.js`);
const { createRedisFactory } = require(`${package_}/dist/cjs/src/api/shared/create-redis.js`);

runQuirrel({
  port: Number(port),
  host: "127.0.0.1",
  redisFactory: createRedisFactory(`redis://127.0.0.1:${redisPort}`),
  logger: "none",
  disableTelemetry: true,
  rateLimiter: { max: 1e9 },
});
process.on("SIGTERM", () => process.exit(0));

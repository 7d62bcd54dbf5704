// The job as a BullMQ user writes it: `node bullmq.mjs work`, and `node bullmq.mjs produce` with an Errand on
// standard input and a Tally on standard output. The packages lie in RIVAL_NODE; templates and data come from
// benchmarks/job.py, through RIVAL_JOB, so that every system does the same work.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const env = process.env;
const require = createRequire(path.join(env.RIVAL_NODE, 'package.json'));
const { Queue, Worker } = require('bullmq');
const job = JSON.parse(fs.readFileSync(env.RIVAL_JOB, 'utf8'));
const connection = { host: '127.0.0.1', port: Number(env.RIVAL_REDIS_PORT), maxRetriesPerRequest: null };

const CONCURRENCY = 100; // of each worker process; there are two
const CALLERS = 32;
const BULK_ITEMS = 500;
const OPTIONS = { attempts: 5, backoff: { type: 'exponential', delay: 1000 }, removeOnComplete: true, removeOnFail: 1000 };

function work() {
  const nunjucks = require('nunjucks');
  const nodemailer = require('nodemailer');
  const undici = require('undici');
  const { Pool } = require('pg');
  const plain = new nunjucks.Environment(null, { autoescape: false });
  const escaped = new nunjucks.Environment(null, { autoescape: true });
  const templates = {
    subject: nunjucks.compile(job.subject, plain),
    text: nunjucks.compile(job.text, plain),
    html: nunjucks.compile(job.html, escaped),
  };
  const database = new Pool({ host: env.RIVAL_DATABASE_HOST, user: 'postgres', database: 'tidings', max: 8, min: 8 });
  const http = new undici.Agent({ connections: 100, pipelining: 1 });
  const smtp = nodemailer.createTransport({
    pool: true, host: '127.0.0.1', port: Number(env.RIVAL_SMTP_PORT), secure: false, ignoreTLS: true,
    maxConnections: 20, maxMessages: Infinity,
  });
  const record = {
    name: 'record',
    text: `INSERT INTO notifications (id, status, provider_message_id, updated_at)
      VALUES ($1, 'sent', $2, clock_timestamp())
      ON CONFLICT (id) DO UPDATE SET status = excluded.status,
        provider_message_id = excluded.provider_message_id, updated_at = excluded.updated_at`,
  };

  async function post(url, data, rendered) {
    const id = `msg_${data.id}`;
    const payload = { ...rendered, ref: data.id, t: String(data.t) };
    const body = JSON.stringify({ type: job.event, timestamp: Math.floor(Date.now() / 1000), data: payload });
    const headers = { 'content-type': 'application/json', 'webhook-id': id };
    const answer = await undici.request(url, { method: 'POST', dispatcher: http, headers, body });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`status ${answer.statusCode}`);
    return id;
  }

  async function mail(address, data, rendered) {
    const messageId = `<${data.id}@shop.example.com>`;
    await smtp.sendMail({ from: job.sender, to: address, ...rendered, messageId });
    return messageId;
  }

  const worker = new Worker('send', async ({ data: { channel, address, data } }) => {
    const rendered = {
      subject: templates.subject.render(data), text: templates.text.render(data), html: templates.html.render(data),
    };
    const id = await (channel === 'webhook' ? post : mail)(address, data, rendered);
    await database.query({ ...record, values: [data.id, id] });
  }, { connection, concurrency: CONCURRENCY });
  worker.on('error', (error) => console.error(error));
  worker.on('failed', (failed, error) => console.error(failed?.id, error.message));
  process.on('SIGTERM', () => process.exit(0));
}

const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

async function produce() {
  const errand = JSON.parse(fs.readFileSync(0, 'utf8'));
  const { run, channel, count, door, rate } = errand.work;
  const queue = new Queue('send', { connection, defaultJobOptions: OPTIONS });
  await queue.waitUntilReady();

  function request(number, t) {
    const six = String(number).padStart(6, '0');
    const address = channel === 'email' ? `user${six}@example.com` : errand.hook_url;
    return { channel, address, data: { ...job.data, order: `B-${six}`, id: `${run}-${six}`, t } };
  }

  const firstUs = now();
  const used = process.cpuUsage();
  const start = performance.now();
  if (rate) {
    const asking = [];
    for (let number = 0; number < count; number++) {
      const due = start + (number * 1000) / rate;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      asking.push(queue.add('send', request(number, Math.round((performance.timeOrigin + due) * 1000))));
    }
    await Promise.all(asking);
  } else if (door === 'bulk') {
    for (let first = 0; first < count; first += BULK_ITEMS) {
      const items = Array.from({ length: Math.min(BULK_ITEMS, count - first) }, (_, index) => first + index);
      await queue.addBulk(items.map((number) => ({ name: 'send', data: request(number, now()) })));
    }
  } else {
    let next = 0;
    await Promise.all(Array.from({ length: CALLERS }, async () => {
      while (next < count) await queue.add('send', request(next++, now()));
    }));
  }
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(used);
  const tally = { accepted: count, answers: { accepted: count }, first_us: firstUs, seconds, cpu_s: (user + system) / 1e6 };
  process.stdout.write(JSON.stringify(tally), () => process.exit(0));
}

if (process.argv[2] === 'work') work();
else await produce();

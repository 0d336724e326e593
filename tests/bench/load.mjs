// Deliveries at a steady rate: does the dispatcher keep up, and does anything grow? Signed payloads (GitHub's published
// examples but for comments, about which the forge would be asked) go to `assay serve`, each on disk before its 202.
//
//     node load.mjs ASSAY [--rate 1000] [--seconds 60] [--database sqlite|postgresql]
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { postgres } from '../fake/postgres.mjs';
import { query } from '../fault/audit.mjs';

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        rate: { type: 'string', default: '1000' },
        seconds: { type: 'string', default: '60' },
        database: { type: 'string', default: 'sqlite' },
    },
});
const [rate, seconds] = [values.rate, values.seconds].map(Number);
const SECRET = 'a benchmark has no secrets';
const folder = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'assay-load-'));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function payloads() {
    const examples = createRequire(import.meta.url)('@octokit/webhooks-examples/api.github.com/index.json');
    return examples
        .filter(({ name }) => !/comment/.test(name))
        .flatMap(({ name, examples: all }) => all.map((one) => ({ name, body: Buffer.from(JSON.stringify(one)) })))
        .map((one) => ({ ...one, signature: `sha256=${createHmac('sha256', SECRET).update(one.body).digest('hex')}` }));
}

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((listening) => server.on('listening', listening));
    const { port } = server.address();
    await new Promise((closed) => server.close(closed));
    return port;
}

async function start(database) {
    const port = await freePort();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
    const config = {
        server: { listen: `127.0.0.1:${port}` },
        database,
        state_dir: join(folder, 'state'),
        catch_up: { deliveries: '0s', repositories: '0s' },
        forges: [
            {
                name: 'github',
                kind: 'github',
                api_url: 'http://127.0.0.1:9',
                git_url: 'http://127.0.0.1:9',
                app_id: 1,
                private_key: `file:${folder}/key.pem`,
                webhook_secret: `file:${folder}/secret`,
            },
        ],
        models: [{ name: 'none', kind: 'openai', base_url: 'http://127.0.0.1:9/v1', model: 'none' }],
    };
    writeFileSync(join(folder, 'assay.yml'), JSON.stringify(config));
    const child = spawn(positionals[0], ['serve', '--config', join(folder, 'assay.yml')], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { PATH: process.env.PATH, HOME: folder, ASSAY_LOG_LEVEL: 'error' },
    });
    const url = `http://127.0.0.1:${port}`;
    for (let i = 0; !(await fetch(`${url}/healthz`).catch(() => null))?.ok; i++) {
        if (i > 400) throw new Error('assay serve does not answer');
        await wait(50);
    }
    return { child, port };
}

/** Pss in MiB and processor seconds, by role. */
function usage(parent) {
    const found = {};
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
        try {
            const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
            if (Number(stat[1]) !== parent) continue;
            const role = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1];
            const pss = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
            found[role] = { mib: pss.toFixed(1), cpu: (Number(stat[11]) + Number(stat[12])) / 100 };
        } catch {
            continue; // it has just ended
        }
    return found;
}

class Sender {
    agent = new Agent({ keepAlive: true, maxSockets: 32 });
    answered = 0;
    refused = 0;
    times = [];
    constructor(port) {
        this.port = port;
        this.all = payloads();
    }

    send(number) {
        const { name, body, signature } = this.all[number % this.all.length];
        const began = performance.now();
        return new Promise((done) => {
            const one = request(
                {
                    port: this.port,
                    host: '127.0.0.1',
                    method: 'POST',
                    path: '/webhooks/github',
                    agent: this.agent,
                    headers: {
                        'Content-Type': 'application/json',
                        'Content-Length': body.length,
                        'X-GitHub-Delivery': `load-${number}`,
                        'X-GitHub-Event': name,
                        'X-Hub-Signature-256': signature,
                    },
                },
                (answer) => {
                    this.times.push(performance.now() - began);
                    if (answer.statusCode === 202) this.answered++;
                    else this.refused++;
                    answer.resume().on('end', done);
                },
            );
            one.on('error', () => void (this.refused++, done()));
            one.end(body);
        });
    }
}

const backlog = async (database) =>
    (await query(database, "SELECT count(*) AS n FROM delivery WHERE state IN ('waiting', 'taken')"))[0].n;

const server = values.database === 'postgresql' ? await postgres(null, { fsync: true }) : null;
const database = server ? server.url : `sqlite://${folder}/assay.db`;
try {
    const { child, port } = await start(database);
    const sender = new Sender(port);
    const began = performance.now();
    const flying = new Set();
    let sent = 0;
    let nextLook = 10;
    while (performance.now() - began < seconds * 1000) {
        const due = Math.min(rate * seconds, Math.floor(((performance.now() - began) / 1000) * rate));
        while (sent < due && flying.size < 512) {
            const one = sender.send(sent++);
            flying.add(one);
            one.finally(() => flying.delete(one));
        }
        if ((performance.now() - began) / 1000 > nextLook) {
            console.log(`${nextLook} s: sent ${sent}, 202 ${sender.answered}, waiting ${await backlog(database)}, ${JSON.stringify(usage(child.pid))}`);
            nextLook += Math.max(10, seconds / 10);
        }
        await wait(5);
    }
    await Promise.all(flying);
    const took = (performance.now() - began) / 1000;
    const left = await backlog(database);
    const drained = performance.now();
    while ((await backlog(database)) > 0 && performance.now() - drained < 120_000) await wait(100);
    const late = ((performance.now() - drained) / 1000).toFixed(1);
    sender.times.sort((a, b) => a - b);
    const at = (share) => sender.times[Math.floor(share * (sender.times.length - 1))].toFixed(1);
    console.log(
        `${values.database}: ${(sender.answered / took).toFixed(0)} a second for ${took.toFixed(0)} s, refused ${sender.refused}; ` +
            `answers after ${at(0.5)} ms (p99 ${at(0.99)} ms); ${left} waited at the end, the last for ${late} s more; ` +
            `${JSON.stringify(usage(child.pid))}`,
    );
    child.kill('SIGTERM');
} finally {
    server?.end();
    rmSync(folder, { recursive: true, force: true });
}

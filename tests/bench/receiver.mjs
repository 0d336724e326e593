// How fast are deliveries taken, next to Probot? The same signed payloads (GitHub's published examples, mixed sizes), the
// same client, one processor for the client and one for the server, in turns. Assay has every delivery on disk
// (synchronous=FULL) before its 202; Probot keeps nothing.
//
//     node receiver.mjs ASSAY [ROUNDS [SECONDS]]
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [assay, rounds = '3', seconds = '8'] = process.argv.slice(2);
const SECRET = 'a benchmark has no secrets';
const CONNECTIONS = 64;
const folder = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'assay-bench-'));

/** Writes the bodies and the list that wrk reads; gives the list's path, and the mean size. */
function prepare() {
    const examples = createRequire(import.meta.url)('@octokit/webhooks-examples/api.github.com/index.json');
    mkdirSync(join(folder, 'bodies'));
    const lines = [];
    let bytes = 0;
    for (const { name, examples: payloads } of examples)
        for (const payload of payloads) {
            const body = JSON.stringify(payload);
            const file = join(folder, 'bodies', `${lines.length}.json`);
            writeFileSync(file, body);
            bytes += Buffer.byteLength(body);
            lines.push(`${name} sha256=${createHmac('sha256', SECRET).update(body).digest('hex')} ${file}`);
        }
    writeFileSync(join(folder, 'list'), `${lines.join('\n')}\n`);
    return { list: join(folder, 'list'), mean: bytes / lines.length, count: lines.length };
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((listening) => server.on('listening', listening));
    const { port } = server.address();
    await new Promise((closed) => server.close(closed));
    return port;
}

const pinned = (command, args, options) => spawn('taskset', ['-c', '1', command, ...args], options);

/** The whole of `assay serve`: receiver, dispatcher and worker share the one processor. */
async function startAssay(round) {
    const port = await freePort();
    const database = join(folder, `assay-${round}.db`);
    const config = {
        server: { listen: `127.0.0.1:${port}` },
        database: `sqlite://${database}`,
        state_dir: folder,
        forges: [{ name: 'github', kind: 'github', app_id: 1, private_key: `file:${folder}/key.pem`, webhook_secret: `file:${folder}/secret` }],
        models: [{ name: 'none', kind: 'openai', base_url: 'http://127.0.0.1:9/v1', model: 'none' }],
    };
    writeFileSync(join(folder, 'assay.yml'), JSON.stringify(config));
    const child = pinned(assay, ['serve', '--config', join(folder, 'assay.yml')], {
        stdio: 'ignore',
        env: { PATH: process.env.PATH, HOME: folder, ASSAY_LOG_LEVEL: 'error' },
    });
    return { child, url: `http://127.0.0.1:${port}/webhooks/github`, database };
}

async function startProbot() {
    const port = await freePort();
    const child = pinned(process.execPath, [join(here, 'probot-app.mjs')], {
        stdio: 'ignore',
        cwd: here,
        env: {
            PATH: process.env.PATH,
            NODE_ENV: 'production',
            LOG_LEVEL: 'fatal',
            HOST: '127.0.0.1',
            PORT: String(port),
            APP_ID: '1',
            PRIVATE_KEY: readFileSync(join(folder, 'key.pem'), 'utf8'),
            WEBHOOK_SECRET: SECRET,
            WEBHOOK_PATH: '/webhooks/github',
        },
    });
    return { child, url: `http://127.0.0.1:${port}/webhooks/github` };
}

/** Milliseconds until a delivery is taken. */
async function ready(url) {
    const began = performance.now();
    const body = '{"action":"opened"}';
    const headers = {
        'content-type': 'application/json',
        'x-github-event': 'issues',
        'x-github-delivery': `ready-${began}`,
        'x-hub-signature-256': `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`,
    };
    for (;;) {
        const answer = await fetch(url, { method: 'POST', headers, body }).catch(() => null);
        if (answer?.ok) return performance.now() - began;
        if (performance.now() - began > 20_000) throw new Error(`${url} does not answer`);
        await wait(1);
    }
}

/** The processes below one, and itself. */
function family(pid) {
    const children = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [pid, ...children.split('\n').filter(Boolean).map(Number)];
}

const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** The process that takes deliveries, and its memory: Probot is one, of `assay serve` it is the receiver. */
function receiverMemory(pid) {
    let all = [pid];
    try {
        all = family(pid);
    } catch {
        // no children
    }
    const found = all.find((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8').split('\0')[1] === 'receiver');
    return resident(found ?? pid);
}

async function measure(start, list, round) {
    const { child, url, database } = await start(round);
    const startup = await ready(url);
    const wrk = spawnSync(
        'taskset',
        ['-c', '0', 'wrk', '-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '-s', join(here, 'wrk-deliveries.lua'), url, '--', list, String(round)],
        { encoding: 'utf8' },
    );
    const result = /RESULT (\d+) (\d+) (\d+) (\d+)/.exec(wrk.stdout);
    if (!result) throw new Error(`wrk: ${wrk.stdout}${wrk.stderr}`);
    const memory = receiverMemory(child.pid);
    child.kill('SIGKILL');
    await new Promise((ended) => child.on('close', ended));
    const [requests, duration, p99, bad] = result.slice(1).map(Number);
    if (bad) throw new Error(`${bad} of ${requests} deliveries were not accepted`);
    return { rate: (requests / duration) * 1e6, p99: p99 / 1000, memory, startup, size: database ? statSync(database).size : 0 };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

function row(what, ours, theirs, better, target, unit) {
    const ratio = better === 'more' ? ours / theirs : theirs / ours;
    const good = ratio >= target;
    console.log(
        `${what.padEnd(16)} assay ${ours.toFixed(1).padStart(9)} ${unit}   probot ${theirs.toFixed(1).padStart(9)} ${unit}   ` +
            `${ratio.toFixed(2)} times ${better === 'more' ? 'as much' : 'less'} (target ${target})${good ? '' : '   MISSED'}`,
    );
    return good;
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
try {
    const { list, mean, count } = prepare();
    console.log(`${count} payloads of ${(mean / 1024).toFixed(1)} KiB in the mean, ${CONNECTIONS} connections, ${rounds} rounds of ${seconds} s each`);
    const all = { assay: [], probot: [] };
    for (let round = 1; round <= Number(rounds); round++) {
        all.assay.push(await measure(startAssay, list, round));
        all.probot.push(await measure(startProbot, list, round));
    }
    const of = (who, what) => median(all[who].map((one) => one[what]));
    const good = [
        row('deliveries/s', of('assay', 'rate'), of('probot', 'rate'), 'more', 3, '   '),
        row('p99 latency', of('assay', 'p99'), of('probot', 'p99'), 'less', 1, 'ms '),
        row('resident memory', of('assay', 'memory'), of('probot', 'memory'), 'less', 10, 'MiB'),
        row('start to ready', of('assay', 'startup'), of('probot', 'startup'), 'less', 15, 'ms '),
    ];
    process.exitCode = good.every(Boolean) ? 0 : 1;
} finally {
    rmSync(folder, { recursive: true });
}

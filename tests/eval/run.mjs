#!/usr/bin/env node
// The evaluation on recorded answers: real pipeline, real sandbox, a real model's words. Says which rate is lower than
// thresholds.json allows, and fails then, or when a prompt is new to the recording.
//
//   node tests/eval/run.mjs                          replays recording.jsonl.gz
//   node tests/eval/run.mjs record --upstream URL    asks the model at URL for what the recording lacks, and adds it
//
// --recording FILE and --thresholds FILE name other files; ASSAY_BINARY another program than build/assay.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = resolve(here, '../..');
const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        upstream: { type: 'string' },
        recording: { type: 'string', default: join(here, 'recording.jsonl.gz') },
        thresholds: { type: 'string', default: join(here, 'thresholds.json') },
    },
});
const recording = resolve(values.recording);
const wanted = JSON.parse(readFileSync(values.thresholds, 'utf8'));
const binary = resolve(process.env.ASSAY_BINARY ?? join(root, 'build/assay'));

/** deploy/replay.py on a free port: {url, stop}. Answers are added to a plain file. */
async function replay(file) {
    const mode = positionals[0] === 'record' ? ['both', '--upstream', values.upstream] : ['serve'];
    const args = [join(root, 'deploy/replay.py'), ...mode, '--file', file];
    const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout }))
        return { url: line.replace('listening on ', ''), stop: () => child.kill() };
    throw new Error('deploy/replay.py has ended');
}

/** The summary of one way of doing the tasks. */
async function evaluate(folder, url, mode) {
    const config = join(folder, 'assay.yml');
    const model = { name: 'recorded', kind: 'openai', base_url: `${url}/v1`, model: wanted.model };
    const patience = { max_tokens: 1024, timeout: '30m', stall: '15m' }; // a slow machine may record
    writeFileSync(config, JSON.stringify({ state_dir: join(folder, 'state'), models: [{ ...model, ...patience }] }));
    const sample = ['--sample', String(wanted.sample), '--seed', String(wanted.seed)];
    const more = mode === 'single-shot' ? ['--single-shot'] : [];
    const args = [
        'eval',
        join(root, wanted.tasks),
        '--config',
        config,
        '--out',
        join(folder, `${mode}.jsonl`),
        '--json',
    ];
    const child = spawn(binary, [...args, ...sample, ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (text) => {
        out += text;
    });
    const status = await new Promise((done) => child.on('close', done));
    if (status !== 0) throw new Error(`assay eval (${mode}) ended with status ${status}`);
    const { runs } = JSON.parse(out);
    if (runs.length !== 1) throw new Error(`${mode}: the recording holds answers of ${runs.length} models`);
    return runs[0];
}

/** Prints the rates; gives how many are too low. */
function judge(mode, run) {
    let low = 0;
    for (const [name, { count, of, rate }] of Object.entries(run.rates)) {
        const least = wanted.least[mode]?.[name];
        const bad = least !== undefined && (rate ?? 0) < least;
        low += bad;
        const told = `${mode} ${name}: ${count}/${of}${rate === null ? '' : ` = ${(100 * rate).toFixed(1)} %`}`;
        console.log(`${told}${least === undefined ? '' : `, at least ${100 * least} %${bad ? ': TOO LOW' : ''}`}`);
    }
    console.log(`${mode} tokens in ${run.tokens_in.median}, out ${run.tokens_out.median} (median)`);
    return low;
}

if (positionals[0] === 'record' ? !values.upstream : positionals.length > 0) {
    console.error('usage: run.mjs [--recording FILE] [--thresholds FILE], or run.mjs record --upstream URL');
    process.exit(2);
}
if (positionals[0] !== 'record' && !existsSync(recording)) {
    console.error(`${recording} is missing: record it with a real model first`);
    process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'assay-recorded-'));
const added = positionals[0] === 'record' && join(folder, 'recording.jsonl');
if (added && existsSync(recording)) writeFileSync(added, gunzipSync(readFileSync(recording)));
const server = await replay(added || recording);
let low = 0;
try {
    for (const mode of Object.keys(wanted.least)) low += judge(mode, await evaluate(folder, server.url, mode));
} catch (error) {
    console.error(error.message);
    low++;
} finally {
    server.stop();
    if (added && existsSync(added)) writeFileSync(recording, gzipSync(readFileSync(added), { level: 9 }));
    rmSync(folder, { recursive: true });
}
process.exitCode = low ? 1 : 0;

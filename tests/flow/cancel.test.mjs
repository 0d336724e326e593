// Two seconds from the word to the end of all that a job does: the model's stream, the guest in the sandbox, the job.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cannotRun, fenced, PATIENCE, script, until, wait, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 180_000 };
const WITHIN = 2000 * Math.max(1, PATIENCE / 90_000); // longer where the whole machine is told to be slow

const ENDLESS = { text: 'x'.repeat(4_000_000), slow: 20 };
const SLEEPING_CODE = `
import time


def slugify(text: str) -> str:
    """The text as a part of an address."""
    time.sleep(9)
    return text
`;

function isAlive(pid) {
    try {
        return !/\nState:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
        return false;
    }
}

/** The processes of a guest that has been running tests for a second, as the host sees them. */
async function sleeper(w) {
    await until('the code is asked for', () => w.model.of('implement').length > 0);
    const guests = () => w.assay.processes().filter(({ argv }) => argv.includes('pytest'));
    return until('tests run for a while', async () => {
        const seen = guests();
        await wait(1000);
        return seen.length > 0 && seen.every(({ pid }) => isAlive(pid)) && seen;
    });
}

/** Says cancel, and gives the milliseconds until each of `ends` (name → question) was true and the job had ended. */
async function cancelAndTime(w, t, ends) {
    const begin = Date.now();
    const { status, err } = await w.assay.command('cancel', '1');
    assert.equal(status, 0, err);
    const took = {};
    const timed = Object.entries(ends).map(async ([name, question]) => {
        await until(name, question, 30_000);
        took[name] = Date.now() - begin;
    });
    await Promise.all(timed);
    const [job] = await w.ended(1, 30_000);
    took['the job has ended'] = Date.now() - begin;
    t.diagnostic(JSON.stringify(took));
    assert.equal(job.state, 'cancelled');
    assert.equal(w.gh.pulls(w.repo).length, 0);
    for (const [name, ms] of Object.entries(took)) assert.ok(ms <= WITHIN, `${name}: ${ms} ms, not ${WITHIN}`);
}

async function shown(w, issue) {
    await until('the progress comment says so', () => /[Cc]ancelled/.test(w.said(issue).join('\n')), 10_000);
}

test('a model that streams for ever is hung up on', options, async (t) => {
    const w = await world(t, { model: script({ implement: () => ENDLESS }) });
    const issue = w.ask();
    const asked = await until('the model is asked', () => w.model.of('implement')[0]);
    await cancelAndTime(w, t, { 'the stream is closed': () => asked.closed });
    await shown(w, issue);
});

test('a guest that sleeps is killed', options, async (t) => {
    const w = await world(t, { model: script({ implement: fenced(SLEEPING_CODE) }) });
    const issue = w.ask();
    const running = await sleeper(w);
    await cancelAndTime(w, t, { 'the guest is gone': () => running.every(({ pid }) => !isAlive(pid)) });
    await shown(w, issue);
});

test('a job that does not listen is killed with its guest, and another process says so', options, async (t) => {
    const w = await world(t, { model: script({ implement: fenced(SLEEPING_CODE) }) });
    const issue = w.ask();
    const running = await sleeper(w);
    const [job] = w.assay.jobProcesses();
    process.kill(job.pid, 'SIGSTOP');
    await cancelAndTime(w, t, {
        'the process is gone': () => !isAlive(job.pid),
        'the guest is gone': () => running.every(({ pid }) => !isAlive(pid)),
    });
    await shown(w, issue);
});

test('a newer request for the same issue stops the older one, and says so', options, async (t) => {
    const w = await world(t, { model: script({ tests: ({ n }) => n === 1 && ENDLESS }) });
    const issue = w.ask();
    const first = await until('the model is asked', () => w.model.of('tests')[0]);
    w.gh.addComment(w.repo, issue, '/generate and keep it short', 'mia');
    await until('the first stream is closed', () => first.closed, 20_000);
    const second = await until('the model is asked by the newer one', () => w.model.of('tests')[1]);
    assert.match(second.prompt, /keep it short/);
    const older = await until('the older one has ended', async () => {
        const job = (await w.assay.jobs()).find(({ id }) => id === 1);
        return job.state !== 'running' && job;
    });
    assert.deepEqual([older.state, older.superseded_by], ['cancelled', 2]);
    assert.match(older.reason, /newer request/);
    const said = w.said(issue).join('\n');
    assert.match(said, /Job 2 takes the place of job 1: the newest request counts\./);
    assert.match(said, /Job 2 took the place of this one/);
});

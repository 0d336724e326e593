// What is outside fails: the job waits and says so; a person who knows better need not wait.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, script, until, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 240_000 };

/** A world whose model is down, with a job that was put back because of it. */
async function outage(t) {
    let down = true;
    const w = await world(t, { model: script({ tests: () => down && { status: 503 } }) });
    const issue = w.ask();
    const job = await until('the job is put back', async () => {
        const [one] = await w.assay.jobs();
        return one?.state === 'queued' && one.attempt === 1 && one;
    });
    return { w, issue, job, mend: () => (down = false) };
}

/** Long before its time has come. */
async function goesOn(w) {
    await until('the code is asked for', () => w.model.of('implement').length > 0, 25_000);
}

test('a model that is down is waited for, and `assay retry` tries at once', options, async (t) => {
    const { w, issue, job, mend } = await outage(t);
    const wait = Date.parse(job.not_before) - Date.now();
    assert.ok(wait > 10_000 && wait < 40_000, `the first wait is 30 s and up to a quarter more, not ${wait} ms`);
    assert.match(job.reason, /503/);
    const { out } = await w.assay.command('jobs');
    assert.match(out, /\tagain at \d{4}-.*: .*503/);
    await until('the person is told', () => /will try again by myself/.test(w.said(issue).join('\n')), 10_000);
    mend();
    const { status, err } = await w.assay.command('retry', '1');
    assert.equal(status, 0, err);
    await goesOn(w);
});

test('/retry tries at once, too', options, async (t) => {
    const { w, issue, mend } = await outage(t);
    mend();
    w.gh.addComment(w.repo, issue, '/retry', 'mia');
    await goesOn(w);
});

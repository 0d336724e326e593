// kill -9 at any instant: every job ends once, with one pull request and one progress comment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, fenced, GOOD_CODE, script, until, wait, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 300_000 };
const PULLS = 'POST /repos/{owner}/{repo}/pulls';

async function endsOnce(w, issue) {
    const pull = await w.pull();
    assert.equal(w.writes(PULLS).length, 1);
    assert.deepEqual(w.markers(issue), ['job:1:progress']);
    const commits = await w.repo.git.log('main', pull.pull.headSha);
    assert.equal(commits.length, 2);
    assert.deepEqual(Object.keys(await w.repo.git.branches()).sort(), [pull.pull.head, 'main'].sort());
    return pull;
}

test(
    'kill -9 of the job while it asks for the code: resumed, and the tests are not written again',
    options,
    async (t) => {
        let held = 0;
        const w = await world(t, {
            model: script({ implement: () => (held++ ? undefined : { text: 'x'.repeat(4000), slow: 1000 }) }),
        });
        const issue = w.ask();
        await until('the code is asked for', () => w.model.of('implement').length > 0);
        const jobs = w.assay.jobProcesses();
        assert.equal(jobs.length, 1);
        process.kill(jobs[0].pid, 'SIGKILL');
        await endsOnce(w, issue);
        const written = w.model.of('tests').filter(({ prompt }) => !/random inputs/.test(prompt));
        assert.equal(written.length, 1, 'the journal has them');
        assert.equal(w.model.of('implement').length, 3, 'the one that was cut off, and two that agree');
    },
);

test('kill -9 of everything while it asks for the code, then a start', options, async (t) => {
    let held = 0;
    const w = await world(t, {
        model: script({ implement: () => (held++ ? undefined : { text: 'x'.repeat(4000), slow: 1000 }) }),
    });
    const issue = w.ask();
    await until('the code is asked for', () => w.model.of('implement').length > 0);
    await w.assay.killAll();
    await w.assay.start();
    await endsOnce(w, issue);
});

test('an acknowledged delivery survives a kill -9 that follows at once', options, async (t) => {
    const w = await world(t);
    const issue = w.ask();
    await until('it is acknowledged', () => w.gh.deliveries.at(-1).status === 202, 10_000);
    await w.assay.killAll();
    await w.assay.start();
    await endsOnce(w, issue);
});

// The instants around each effect on the forge: effects.test.mjs.

test('kill -9 at random instants', options, async (t) => {
    const w = await world(t, { model: script({ implement: fenced(GOOD_CODE) }) });
    const issue = w.ask();
    await w.gh.settled();
    for (const ms of [150, 700, 1900, 3100]) {
        await wait(ms);
        await w.assay.killAll();
        await w.assay.start();
    }
    await endsOnce(w, issue);
});

test('a job that crashes every time ends, and says so', options, async (t) => {
    const w = await world(t, {
        model: script({ implement: () => ({ text: 'x'.repeat(40_000), slow: 1000 }) }),
        lenient: true,
    });
    const issue = w.ask();
    let ended = false;
    const killer = (async () => {
        while (!ended) {
            await wait(100);
            if (w.model.of('implement').length)
                for (const { pid } of w.assay.jobProcesses()) process.kill(pid, 'SIGKILL');
        }
    })();
    const [job] = await w.ended(1, 200_000).finally(() => {
        ended = true;
    });
    await killer;
    assert.equal(job.outcome, 'needs-human');
    assert.match(job.reason, /signal 9/);
    assert.equal(w.gh.pulls(w.repo).length, 0);
    assert.deepEqual(w.markers(issue), ['job:1:progress', 'job:1:result']);
});

// A GitHub that stumbles at every kind of request: whatever it answers, one job ends in one pull request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atRest, audit, rows } from '../fault/audit.mjs';
import { cannotRun, PATIENCE, until, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: Math.max(300_000, 5 * PATIENCE) };

const limit = (seconds) => ({
    status: 403,
    body: { message: 'API rate limit exceeded for installation ID 77.' },
    headers: {
        'x-ratelimit-limit': '5000',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + seconds),
    },
});
const gateway = { status: 502, body: '<html>Bad Gateway</html>', headers: { 'content-type': 'text/html' } };
const expired = { status: 401, body: { message: 'Bad credentials' } };

const TOKEN = /^POST .*\/access_tokens$/;
const PERMISSION = /^GET .*\/permission$/;
const COMMENT = /^POST .*\/issues\/\d+\/comments$/;
const UPDATE = /^PATCH .*\/issues\/comments\/\d+$/;
const CHECK = /^POST .*\/check-runs$/;
const PULL = /^POST .*\/pulls$/;
const REFS = /^GIT GET .*git-upload-pack/;
const PUSH_REFS = /^GIT GET .*git-receive-pack/;
const PACK = /^GIT POST .*git-upload-pack/;
const PUSH = /^GIT POST .*git-receive-pack/;

for (const [what, faults] of [
    [
        '500, 502 with a page of HTML, 403 with the limit used up, 401 for a token that has run out',
        () => [
            { match: TOKEN, ...gateway },
            { match: PERMISSION, ...limit(2) },
            { match: COMMENT, ...expired },
            { match: REFS, ...expired },
            { match: UPDATE, status: 500 },
            { match: CHECK, ...gateway },
            { match: PUSH_REFS, ...expired },
            { match: PULL, ...limit(2) },
        ],
    ],
    [
        'half a body, or a broken connection',
        () => [
            { match: TOKEN, end: 'half' },
            { match: PERMISSION, end: 'half' },
            { match: COMMENT, end: 'reset' },
            { match: REFS, end: 'reset' },
            { match: UPDATE, end: 'half' },
            { match: CHECK, end: 'reset' },
            { match: PUSH_REFS, end: 'reset' },
            { match: PULL, end: 'half' },
        ],
    ],
])
    test(what, options, async (t) => {
        const w = await world(t, { lenient: true });
        const set = faults().map((one) => w.gh.fault(one));
        const issue = w.ask();
        await w.pull();
        for (const one of set) assert.equal(one.hits, 1, String(one.match));
        await atRest(w);
        assert.deepEqual(await audit(w, [issue]), []);
    });

/** Lets a job that waits for its next try begin it. */
async function hurry(w) {
    const waits = (await rows(w, "SELECT id FROM job WHERE state = 'queued' AND attempt > 0")).length > 0;
    if (waits) await w.assay.command('retry', '1');
}

test("git's own answers break off: half a list of branches, half a pack, half a word on a push", options, async (t) => {
    const w = await world(t, { lenient: true });
    const set = [REFS, PACK, PUSH_REFS, PUSH].map((match) => w.gh.fault({ match, end: 'half' }));
    const issue = w.ask();
    await until('each has happened', async () => (await hurry(w), set.every((one) => one.hits)));
    await until('there is a pull request', async () => (await hurry(w), w.gh.pulls(w.repo).length > 0));
    await atRest(w);
    assert.deepEqual(await audit(w, [issue]), []);
});

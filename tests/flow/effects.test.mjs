// Each effect on the forge once, whatever is lost: the answer, the connection, the process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAD_CODE, cannotRun, fenced, script, SPEC, until, wait, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 300_000 };

const REACTION = /^POST .*\/issues\/\d+\/reactions$/;
const COMMENT = /^POST .*\/issues\/\d+\/comments$/;
const PUSH = /^GIT POST .*git-receive-pack/;
const CHECK = /^POST .*\/check-runs$/;
const CHECKED = /^PATCH .*\/check-runs\/\d+$/;
const PULL = /^POST .*\/pulls$/;
const LABEL = /^POST .*\/issues\/\d+\/labels$/;

async function oneOfEach(w, issue) {
    const pull = await w.pull();
    await until('the request was worked through, also by whoever comes after a dead dispatcher', () => issue.reactions.length > 0);
    assert.deepEqual(w.markers(issue), ['job:1:progress']);
    assert.equal(w.gh.pulls(w.repo).length, 1);
    assert.deepEqual(
        issue.reactions.map((one) => one.content),
        ['eyes'],
    );
    assert.deepEqual(
        w.checks().map((one) => [one.head_sha, one.external_id, one.conclusion]),
        [[pull.pull.headSha, 'job-1', 'success']],
    );
    assert.deepEqual(Object.keys(await w.repo.git.branches()).sort(), [pull.pull.head, 'main'].sort());
    assert.equal((await w.repo.git.log('main', pull.pull.headSha)).length, 2);
    const { effects } = JSON.parse((await w.assay.command('show', '1', '--json')).out);
    assert.deepEqual(
        effects.map((one) => `${one.kind} ${one.state}`).sort(),
        ['branch done', 'check done', 'comment done', 'pull done'],
    );
}

for (const [what, lost] of [
    ['500', { status: 500 }],
    ['a broken connection', { end: 'reset' }],
    ['half an answer', { end: 'half' }],
])
    test(`${what} for everything that was done`, options, async (t) => {
        const w = await world(t);
        const faults = [REACTION, COMMENT, PUSH, CHECK, CHECKED, PULL].map((match) =>
            w.gh.fault({ match, applied: true, ...lost }),
        );
        const issue = w.ask();
        await oneOfEach(w, issue);
        assert.deepEqual(
            faults.map((one) => one.hits),
            faults.map(() => 1),
        );
    });

// Everything dies at each request in turn: in the one case it has been carried out, in the other it never will be.
for (const [applied, matches] of [
    [true, [REACTION, COMMENT, PUSH]],
    [true, [CHECK, PULL, CHECKED]],
    [false, [REACTION, COMMENT, PUSH]],
    [false, [CHECK, PULL, CHECKED]],
])
    test(`kill -9 ${applied ? 'after' : 'before'} each of ${matches.length} effects of one job`, options, async (t) => {
        const w = await world(t);
        const faults = matches.map((match) => w.gh.fault({ match, end: 'stall', applied }));
        const issue = w.ask();
        for (const fault of faults) {
            await until(`it comes to ${fault.match.source}`, () => fault.hits > 0);
            await wait(100);
            await w.assay.killAll();
            await w.assay.start();
        }
        await oneOfEach(w, issue);
    });

test('a label and the comment with it, when the answers are lost and everything dies in between', options, async (t) => {
    const bad = fenced(BAD_CODE);
    const w = await world(t, {
        model: script({ implement: bad, repair: bad }),
        config: { limits: { repair_rounds: 1 } },
    });
    w.gh.fault({ match: COMMENT, after: 1, status: 502, applied: true });
    const label = w.gh.fault({ match: LABEL, end: 'stall', applied: true });
    const issue = w.ask();
    await until('the label is there', () => label.hits > 0);
    await w.assay.killAll();
    w.gh.removeLabel(w.repo, issue, 'assay:needs-human', 'mia'); // nobody has told us that it was there
    await w.assay.start();
    const [job] = await w.ended();
    assert.equal(job.outcome, 'needs-human');
    assert.deepEqual(w.markers(issue), ['job:1:progress', 'job:1:result']);
    assert.deepEqual(issue.labels.sort(), ['assay', 'assay:needs-human']);
});

test('kill -9 after the answer to a command, and before the answer to a stranger', options, async (t) => {
    const w = await world(t);
    const issue = w.gh.openIssue(w.repo, { ...SPEC, user: 'mia' });
    for (const [person, body, applied] of [
        ['mia', '/help', true],
        ['eve', '/generate', false],
    ]) {
        const fault = w.gh.fault({ match: COMMENT, end: 'stall', applied });
        w.gh.addComment(w.repo, issue, body, person);
        await until('it is about to be answered', () => fault.hits > 0, 20_000);
        await w.assay.killAll();
        await w.assay.start();
    }
    for (const note of [/issue_comment: \/help/, /issue_comment: ignored: eve has no write permission/])
        await until(`the log says ${note.source}`, () => note.test(w.assay.log), 60_000); // when the leases have run out
    assert.equal(w.said(issue).length, 2);
    assert.match(w.said(issue)[0], /\/generate/);
    assert.match(w.said(issue)[1], /eve/);
    assert.deepEqual(await w.assay.jobs(), []);
});

// A forge that fails, or that has less than GitHub.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, until, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 240_000 };
const PULLS = 'POST /repos/{owner}/{repo}/pulls';

test('a personal access token on a server without Apps, check runs and reactions', options, async (t) => {
    const w = await world(t, { github: { lacks: ['apps', 'checks', 'reactions'] }, token: 'pat-4711' });
    const issue = w.ask();
    const pull = await w.pull();
    assert.equal(pull.user, 'assay-user');
    assert.equal(w.said(issue).length, 1);
    const statuses = w.repo.statuses.filter((one) => one.sha === pull.pull.headSha);
    assert.deepEqual([statuses.at(-1).context, statuses.at(-1).state], ['assay', 'success']);
    assert.equal(w.assay.log.includes('pat-4711'), false);
});

test('a personal access token on GitHub, which refuses its check runs with 403', options, async (t) => {
    const w = await world(t, { github: { lacks: ['apps'] }, token: 'pat-4711' });
    const issue = w.ask();
    const pull = await w.pull();
    assert.deepEqual(
        issue.reactions.map((one) => one.content),
        ['eyes'],
    );
    assert.equal(w.repo.statuses.at(-1).sha, pull.pull.headSha);
});

for (const [what, fault] of [
    ['502', { status: 502, body: '<html>bad gateway</html>' }],
    ['a broken connection', { end: 'reset' }],
    ['half an answer', { end: 'half' }],
    ['an answer that is lost', { status: 504, applied: true }],
    [
        'the rate limit',
        { status: 403, headers: { 'retry-after': '1' }, body: { message: 'You have exceeded a secondary rate limit' } },
    ],
])
    test(`${what} when the pull request is opened: it is opened once`, options, async (t) => {
        const w = await world(t);
        const one = w.gh.fault({ match: 'POST /repos/octo/shop/pulls', ...fault });
        w.ask();
        await w.pull();
        assert.equal(one.hits, one.times);
        assert.equal(w.writes(PULLS).length, 1);
    });

for (const [what, match] of [
    ['fetch', /^GIT .*git-upload-pack/],
    ['push', /^GIT .*git-receive-pack/],
])
    test(`a ${what} that breaks is done again`, options, async (t) => {
        const w = await world(t);
        const fault = w.gh.fault({ match, end: 'reset' });
        w.ask();
        await w.pull();
        assert.equal(fault.hits, 1);
    });

test('a comment whose answer is lost is not written twice', options, async (t) => {
    const w = await world(t);
    w.gh.fault({ match: /^POST .*\/issues\/\d+\/comments$/, status: 502, applied: true });
    const issue = w.ask();
    await w.pull();
    assert.equal(w.said(issue).length, 1);
});

test('an installation token that has run out is renewed', options, async (t) => {
    const w = await world(t, { model: (asked) => (w.gh.expireTokens(), w.script(asked)) });
    const { script } = await import('./harness.mjs');
    w.script = script();
    w.ask();
    await w.pull();
    assert.equal(
        w.gh.requests.some((one) => one.status === 401),
        true,
        'it had run out',
    );
});

test('tokens are asked for with one repository and what is needed, no more', options, async (t) => {
    const w = await world(t);
    await w.gh.addRepository('octo/other');
    w.ask();
    await w.pull();
    const asked = w.gh.writes.filter((one) => one.key === 'POST /app/installations/{installation_id}/access_tokens');
    assert.equal(asked.length > 0, true);
    for (const { body } of asked)
        assert.deepEqual(
            [body?.repositories ?? body?.repository_ids?.length, Object.keys(body?.permissions ?? {}).length > 0],
            [body.repositories ? ['shop'] : 1, true],
        );
});

test("somebody else's commits on the branch are not overwritten", options, async (t) => {
    const w = await world(t);
    const issue = w.ask();
    const pull = await w.pull();
    const theirs = await w.repo.git.commit({
        branch: pull.pull.head,
        files: { 'NOTES.md': 'mine\n' },
        message: 'A person was here',
    });
    w.gh.addComment(w.repo, issue, '/retry', 'mia');
    await until(
        'the second run has ended',
        async () => (await w.ended()).every((job) => job.state !== 'running') && w.model.of('implement').length > 1,
    );
    await w.ended();
    const log = await w.repo.git.log('main', await w.repo.git.branch(pull.pull.head));
    assert.equal(
        log.some((one) => one.id === theirs),
        true,
    );
});

test('dry_run writes nothing, and shows what it would have written', options, async (t) => {
    const w = await world(t, {
        config: (config) => ({ forges: config.forges.map((one) => ({ ...one, dry_run: true })) }),
    });
    w.ask();
    const [job] = await w.ended();
    assert.deepEqual(
        w.gh.writes.filter((one) => !one.key.includes('access_tokens')),
        [],
    );
    assert.equal(job.outcome, 'proven');
    const { effects } = JSON.parse((await w.assay.command('show', String(job.id), '--json')).out);
    assert.deepEqual(effects.map((one) => one.kind).sort(), ['branch', 'check', 'comment', 'pull']);
    assert.deepEqual([...new Set(effects.map((one) => one.state))], ['dry']);
    const [pull] = effects.find((one) => one.kind === 'pull').would_send;
    assert.deepEqual([pull.method, pull.path, pull.body.base], ['POST', '/repos/octo/shop/pulls', 'main']);
    const shown = (await w.assay.command('show', String(job.id))).out;
    assert.match(shown, /would POST \/repos\/octo\/shop\/pulls/);
});

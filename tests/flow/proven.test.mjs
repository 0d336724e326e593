// From a labelled issue to a pull request that is proven.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, script, SPEC, until, world } from './harness.mjs';

const PULLS = 'POST /repos/{owner}/{repo}/pulls';
const options = { skip: cannotRun, timeout: 240_000 };

test(
    'a labelled issue becomes a pull request whose tests fail on its first commit and pass on its second',
    options,
    async (t) => {
        const w = await world(t);
        const issue = w.ask();
        const pull = await w.pull();

        assert.match(pull.pull.head, new RegExp(`^assay/${issue.number}-[a-z0-9-]+$`));
        assert.equal(pull.pull.base, 'main');
        assert.equal(pull.pull.draft, false);
        assert.match(pull.body, new RegExp(`\\bFixes #${issue.number}\\b`));
        assert.match(pull.body, /green-tea|slugify/);

        const [first, second, ...rest] = await w.proof(pull);
        assert.equal(rest.length, 0);
        assert.equal(
            first.paths.every((path) => path.startsWith('tests/')),
            true,
            `${first.paths}`,
        );
        assert.equal(first.passed, false);
        assert.match(first.output, /failed|error/);
        assert.deepEqual(second.paths, ['src/shop/text.py']);
        assert.equal(second.passed, true, second.output);
        for (const commit of [first, second])
            assert.match(commit.body, /^Co-authored-by: mia <\d+\+mia@users\.noreply\.|^Co-authored-by: mia/m);
    },
);

test('progress, reaction and check run go with it', options, async (t) => {
    const w = await world(t);
    const issue = w.ask();
    const pull = await w.pull();

    assert.deepEqual(
        issue.reactions.map((one) => [one.user, one.content]),
        [[w.bot, 'eyes']],
    );
    assert.equal(w.said(issue).length, 1, 'one comment, edited in place');
    assert.match(w.said(issue)[0], /\[x\]/);
    assert.match(w.said(issue)[0], new RegExp(`#${pull.number}\\b|/pull/${pull.number}\\b`));
    const checks = w.checks().filter((one) => one.head_sha === pull.pull.headSha);
    assert.deepEqual(
        checks.map((one) => [one.name, one.status, one.conclusion]),
        [['assay', 'completed', 'success']],
    );
    assert.match(
        `${checks[0].output.summary}${checks[0].output.text ?? ''}`,
        /[0-9a-f]{12}/,
        'the digest of the locked tests',
    );
});

test('the same delivery twice, and opened with labeled, is one job', options, async (t) => {
    const w = await world(t);
    const issue = w.ask();
    await w.gh.settled();
    assert.deepEqual(
        w.gh.deliveries.map((one) => one.action).filter((action) => action !== 'created'), // our own comment
        ['opened', 'labeled'],
    );
    for (const delivery of [...w.gh.deliveries]) assert.equal(await w.gh.redeliver(delivery), 202);
    await w.pull();
    await w.answered(issue);
    assert.equal((await w.assay.jobs()).length, 1);
    assert.equal(w.writes(PULLS).length, 1);
    assert.equal(w.gh.writes.filter((one) => one.key === 'PUSH').length, 1);
});

test('/generate adds its text to the spec', options, async (t) => {
    const w = await world(t);
    const issue = w.gh.openIssue(w.repo, { ...SPEC, user: 'eve' });
    const comment = w.gh.addComment(w.repo, issue, '/generate please mind ÄÖÜ', 'mia');
    await w.pull();
    assert.match(w.model.of('implement')[0].prompt, /please mind ÄÖÜ/);
    assert.deepEqual(
        comment.reactions.map((one) => one.content),
        ['eyes'],
    );
});

test('a free text issue gets its signature and file from the model', options, async (t) => {
    const filled = `Signature: slugify(text: str) -> str
File: src/shop/text.py
Assumption: Only ASCII letters count.`;
    const w = await world(t, {
        model: script({ tests: ({ prompt }) => /leaves something open/.test(prompt) && filled }),
    });
    w.ask({
        title: 'Slugs',
        body: "Please make the last part of a product page's address from the name of the product.",
    });
    const pull = await w.pull();
    assert.match(pull.body, /Only ASCII letters count/);
});

test('an Anthropic model does it too', options, async (t) => {
    const w = await world(t, {
        config: (config, secret) => ({
            models: config.models.map(({ base_url, ...one }) => ({
                ...one,
                kind: 'anthropic',
                base_url: base_url.replace(/\/v1$/, ''),
                api_key: secret('key', 'sk-test-4711'),
            })),
        }),
    });
    w.ask();
    assert.equal((await w.proof(await w.pull())).at(-1).passed, true);
    assert.equal(w.assay.log.includes('sk-test-4711'), false);
});

test('two issues at once become two pull requests', options, async (t) => {
    const w = await world(t);
    w.ask();
    w.ask({ title: 'Slugs once more' });
    await w.ended(2);
    assert.equal(w.gh.pulls(w.repo).length, 2);
    assert.equal(new Set(w.gh.pulls(w.repo).map((one) => one.pull.head)).size, 2);
});

test('assay verify proves the pull request from its commits alone', options, async (t) => {
    const w = await world(t);
    w.ask();
    const pull = await w.pull();
    const commits = await w.repo.git.log('main', pull.pull.headSha);
    const tree = `${w.folder}/clone`;
    const { git } = await import('../fake/git.mjs');
    await git(w.folder, 'clone', '--quiet', '--branch', pull.pull.head, w.repo.git.directory, tree);
    const verified = await w.assay.command('verify', `${commits[0].id}^..${commits.at(-1).id}`, '--repo', tree);
    assert.equal(verified.status, 0, verified.out + verified.err);
    const broken = await w.assay.command('verify', `${commits[0].id}..${commits.at(-1).id}`, '--repo', tree);
    assert.notEqual(broken.status, 0, 'the code commit alone has no tests that were red');
});

test('the server stops within seconds of SIGTERM, and goes on where it was', options, async (t) => {
    let hold = true;
    const w = await world(t, { model: script({ implement: () => (hold ? { end: 'stall' } : undefined) }) });
    w.ask();
    await until('the model is asked', () => w.model.of('implement').length > 0);
    await w.assay.stop();
    hold = false;
    await w.assay.start();
    await w.pull();
    assert.equal(w.writes(PULLS).length, 1);
});

// What a model may do wrong, and what comes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAD_CODE, cannotRun, fenced, GOOD_CODE, GOOD_TESTS, script, SPEC, until, world, WORSE_CODE } from './harness.mjs';

const options = { skip: cannotRun, timeout: 240_000 };

async function outcome(w) {
    const [job] = await w.ended();
    return job.outcome;
}

test('an import that nobody declared is rejected', options, async (t) => {
    const w = await world(t, { model: script({ implement: fenced(`import sluggify_pro\n${GOOD_CODE}`) }) });
    const issue = w.ask();
    assert.equal(await outcome(w), 'rejected');
    assert.equal(w.gh.pulls(w.repo).length, 0);
    assert.match(w.said(issue).join('\n'), /sluggify_pro/);
});

test('tests that pass on base are left out, and when none is left a person is asked', options, async (t) => {
    const vacuous = 'def test_nothing():\n    assert True\n';
    const w = await world(t, {
        model: script({ tests: fenced(`${GOOD_TESTS}\n\n${vacuous}`) }),
    });
    w.ask();
    const pull = await w.pull();
    assert.equal((await w.proof(pull))[0].output.includes('passed'), false, 'every test of the first commit fails');
    assert.match(pull.body, /test_nothing/, 'what was left out is told');
});

test('only tests that pass on base: a person is needed', options, async (t) => {
    const w = await world(t, {
        model: script({
            tests: fenced('from shop.text import shorten\n\n\ndef test_it():\n    assert shorten("tea", 3) == "tea"\n'),
        }),
    });
    w.ask({
        title: 'Shorten',
        body: '### Signature\nshorten(text: str, width: int) -> str\n\n### File\nsrc/shop/text.py\n\n### Behaviour\nCuts text to a width.',
    });
    assert.equal(await outcome(w), 'needs-human');
    assert.equal(w.model.of('implement').length, 0, 'no money is spent on code');
});

test('code that fails is repaired in round 2', options, async (t) => {
    const w = await world(t, {
        model: script({
            implement: fenced(WORSE_CODE),
            repair: ({ n }) => fenced(n === 1 ? BAD_CODE : GOOD_CODE),
        }),
    });
    w.ask();
    const pull = await w.pull();
    assert.equal((await w.proof(pull)).at(-1).passed, true);
    assert.equal(w.model.of('repair').length, 2);
    assert.match(w.model.of('repair')[0].prompt, /green-tea/, 'the failure is shown to the model');
});

test('a loop that oscillates ends with a person, a label and no pull request', options, async (t) => {
    const w = await world(t, {
        model: script({ implement: fenced(WORSE_CODE), repair: ({ n }) => fenced(n % 2 ? BAD_CODE : WORSE_CODE) }),
    });
    const issue = w.ask();
    assert.equal(await outcome(w), 'needs-human');
    assert.equal(issue.labels.includes('assay:needs-human'), true, `${issue.labels}`);
    assert.equal(w.gh.pulls(w.repo).length, 0);
    assert.equal(w.model.of('repair').length <= 3, true);
    assert.match(w.said(issue).join('\n'), /test_/, 'the failing tests are shown');
});

test('code that writes to the locked tests does not change them', options, async (t) => {
    const cheat = fenced('def test_nothing():\n    assert True\n', 'tests/test_slugify.py');
    const w = await world(t, { model: script({ implement: `${fenced(GOOD_CODE, 'src/shop/text.py')}\n${cheat}` }) });
    w.ask();
    const pull = await w.pull();
    const [, second] = await w.proof(pull);
    assert.deepEqual(second.paths, ['src/shop/text.py']);
});

test('tests and unused imports beside the code are left out', options, async (t) => {
    const beside = `import pytest\nimport os\nfrom typing import *\n${GOOD_CODE}\n\ndef test_it():\n    assert slugify("A") == "a"\n`;
    const w = await world(t, { model: script({ implement: fenced(beside) }) });
    w.ask();
    const pull = await w.pull();
    const text = `${await w.repo.git.read(pull.pull.headSha, 'src/shop/text.py')}`;
    assert.doesNotMatch(text, /pytest|import os|import \*|test_it/);
    assert.match(text, /import re\b/);
});

test('code that breaks what worked before is not proven', options, async (t) => {
    const breaking = `${GOOD_CODE}\n\ndef shorten(text: str, width: int) -> str:\n    """Broken."""\n    return text\n`;
    const w = await world(t, { model: script({ implement: fenced(breaking), repair: fenced(breaking) }) });
    w.ask();
    assert.notEqual(await outcome(w), 'proven');
    assert.equal(w.gh.pulls(w.repo).length, 0);
});

test('prose is told back, and code then is taken', options, async (t) => {
    const w = await world(t, {
        model: script({ implement: ({ n }) => (n === 1 ? 'I would rather talk about tea.' : undefined) }),
    });
    w.ask();
    await w.pull();
    assert.match(w.model.of('implement')[1].prompt, /could not be used/);
});

for (const [what, answer] of [
    ['only prose', 'I would rather talk about tea.'],
    ['broken JSON', '{"edits": [{"path": "src/shop/text.py", "kind": "create", "code": "def slug'],
    ['code that does not parse', fenced('def slugify(text: str) -> str:\n    return (\n')],
])
    test(`${what} from every role that writes code: a person is needed`, options, async (t) => {
        const w = await world(t, { model: script({ implement: answer, repair: answer }) });
        const issue = w.ask();
        assert.equal(await outcome(w), 'needs-human');
        assert.equal(w.gh.pulls(w.repo).length, 0);
        assert.deepEqual(w.markers(issue), ['job:1:progress', 'job:1:result']);
    });

for (const [what, trouble] of [
    ['nothing', { text: '' }],
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '1' } }],
    ['500', { status: 500 }],
    ['a stall', { end: 'stall' }],
    ['a stream that breaks', { text: fenced(GOOD_CODE), end: 'half' }],
    ['a connection that breaks', { end: 'reset' }],
])
    test(`a model that answers ${what} once is asked again`, options, async (t) => {
        const w = await world(t, { model: script({ implement: ({ n }) => (n === 1 ? trouble : undefined) }) });
        w.ask();
        await w.pull();
        assert.equal(w.model.of('implement').length >= 2, true);
        assert.equal(w.gh.pulls(w.repo).length, 1);
    });

test('the next model on the route answers when the first is down', options, async (t) => {
    const w = await world(t, {
        config: (config) => ({ routes: { ...config.routes, implement: ['implement', 'repair'] } }),
        model: script({ implement: { status: 503 } }),
    });
    w.ask();
    const pull = await w.pull();
    assert.match(pull.body, /repair/, 'who wrote it is told');
});

test('the money for a job is not passed', options, async (t) => {
    const w = await world(t, {
        config: (config) => ({
            models: config.models.map((one) => ({ ...one, price: { input: 1000, output: 1000 } })),
            limits: { cost_per_job: 0.05 },
        }),
    });
    const issue = w.ask();
    assert.equal(await outcome(w), 'needs-human');
    assert.equal(w.model.requests.length, 0);
    assert.match(w.said(issue).join('\n'), /cost|budget|bound/i);
});

test('/continue raises the bound of a job that stopped at it, and it goes on there', options, async (t) => {
    const w = await world(t, {
        config: (config) => ({
            models: config.models.map((one) => ({ ...one, price: { input: 1, output: 1 } })),
            limits: { cost_per_job: 0.0001 },
        }),
    });
    const issue = w.ask();
    assert.equal(await outcome(w), 'needs-human');
    assert.match(w.said(issue).join('\n'), /`\/continue \+\$1` raises the bound/);
    w.gh.addComment(w.repo, issue, '/continue +$1', 'mia');
    await w.gh.settled();
    const passed = await until('the tests are written', async () => {
        const { out } = await w.assay.command('show', '1', '--json');
        const done = JSON.parse(out).stages.filter((one) => one.status === 'passed');
        return done.some((one) => one.stage === 'tests') && done.map((one) => one.stage);
    });
    assert.deepEqual(passed.slice(0, 3), ['spec', 'context', 'tests'], 'what was done before is not done again');
    assert.match(w.said(issue).join('\n'), /Job 1 may cost \$1\.00 more/);
});

test('a spec in HTML comments and a template without an answer is a question', options, async (t) => {
    const w = await world(t);
    w.ask({ title: 'x', body: '<!-- describe what you want -->\n### Behaviour\n_No response_\n' });
    assert.equal(await outcome(w), 'question');
    assert.equal(SPEC.body.length > 0 && w.model.requests.length, 0);
});

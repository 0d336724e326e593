// Tests are cross-examined, before they are locked, by implementations that never saw them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BAD_CODE, cannotRun, fenced, GOOD_CODE, GOOD_TESTS, script, SPEC, world, WORSE_CODE } from './harness.mjs';

const options = { skip: cannotRun, timeout: 240_000 };
const WRONG = 'def test_underscores():\n    assert slugify("One Two") == "one_two"\n';

test('a test that independent implementations contradict is left out before the lock, and told', options, async (t) => {
    const w = await world(t, { model: script({ tests: fenced(`${GOOD_TESTS}\n\n${WRONG}`) }) });
    w.ask();
    const pull = await w.pull();
    const [first, second] = await w.proof(pull);
    assert.equal(first.passed, false);
    assert.equal(second.passed, true, second.output);
    assert.equal(pull.pull.draft, false);
    assert.match(pull.body, /left out before the lock .*implementations fail it.*test_underscores/);
    assert.equal(w.model.of('implement').length > 1, true, 'one implementation alone contradicts nothing');
    for (const { prompt } of w.model.of('implement')) assert.doesNotMatch(prompt, /test_underscores|one_two/);
});

test('two implementations that pass every test and behave alike are enough', options, async (t) => {
    const w = await world(t);
    w.ask();
    await w.pull();
    assert.equal(w.model.of('implement').length, 2);
    const [{ prompt }] = w.model.of('implement');
    assert.doesNotMatch(prompt, /test_runs_become_one_hyphen/);
    assert.match(prompt, /^The file src\/shop\/text\.py now:\n<data>/, 'a file with other functions is data');
    assert.match(prompt, /\n\nComplete this python function, which goes into the file src\/shop\/text\.py:\n\n```python\ndef slugify\(/);
});

test('implementations that break an example of the request contradict no test', options, async (t) => {
    const w = await world(t, { model: script({ implement: fenced(WORSE_CODE), repair: fenced(WORSE_CODE) }) });
    const issue = w.ask();
    const [job] = await w.ended();
    assert.equal(job.outcome, 'needs-human');
    assert.doesNotMatch(w.said(issue).join('\n'), /left out before the lock/);
});

test('implementations that pass every test and yet behave differently are not called proven', options, async (t) => {
    const cut = (n) => fenced(GOOD_CODE.replace('.strip("-")', `.strip("-")[:${10 + n}]`));
    const w = await world(t, { model: script({ implement: ({ n }) => cut(n) }) });
    w.ask();
    const pull = await w.pull();
    assert.equal(pull.pull.draft, true);
    assert.match(pull.body, /Only [12] of 10 independent implementations behave like this one/);
    assert.equal((await w.proof(pull)).at(-1).passed, true, 'the code passes; it is the evidence that is missing');
});

test('generators are compared by what they give', options, async (t) => {
    const words = (n) => `
from collections.abc import Iterator


def words_of(text: str) -> Iterator[str]:
    """The words of a text, one by one."""
    ${n % 2 ? 'yield from text.split()' : 'for word in text.split():\n        yield word'}
`;
    const tests = 'def test_blanks():\n    assert list(words_of(" one  two ")) == ["one", "two"]\n';
    const w = await world(t, { model: script({ tests: fenced(tests), implement: ({ n }) => fenced(words(n)) }) });
    w.ask({
        title: 'Words of a text',
        body: `### Signature\n\`words_of(text: str) -> Iterator[str]\`\n\n### File\nsrc/shop/text.py\n
### Behaviour\nYields the words of a text, one by one.\n\n### Examples\n- \`list(words_of("a b"))\` -> \`["a", "b"]\`\n`,
    });
    const pull = await w.pull();
    assert.equal(pull.pull.draft, false, pull.body);
    assert.equal(w.model.of('implement').length, 2);
});

test('one implementation that the tests alone speak for, while others fail them, is not called proven', options, async (t) => {
    const tests = ['Green  Tea', ' green tea', 'GREEN TEA', 'green.tea'].map(
        (text, i) => `def test_text_${i}():\n    text = "${text}"\n    assert slugify(text) == "green-tea"\n`,
    );
    const answers = [WORSE_CODE, GOOD_CODE, BAD_CODE].map(fenced);
    const w = await world(t, {
        model: script({ tests: fenced(tests.join('\n\n')), implement: ({ n }) => answers[n - 1] ?? 'I cannot.' }),
    });
    w.ask({ title: SPEC.title, body: SPEC.body.replace(/### Examples[^]*/, '') });
    const pull = await w.pull();
    assert.equal(pull.pull.draft, true, pull.body);
    assert.match(pull.body, /Only 1 of 3 independent implementations pass the tests that this one passes/);
});

test('a test that only passes with code that breaks an example is left out, though nothing else is clear', options, async (t) => {
    const other = WRONG.replace('test_underscores', 'test_more').replaceAll('Two', 'Six').replace('_two', '_six');
    const underscores = WORSE_CODE.replace('return text', 'return text.lower().replace(" ", "_")');
    const cut = (n) => GOOD_CODE.replace('.strip("-")', `.strip("-")[:${10 + n}]`);
    const w = await world(t, {
        model: script({ tests: fenced(`${WRONG}\n\n${other}`), implement: ({ n }) => fenced(n === 2 ? underscores : cut(n)) }),
    });
    w.ask();
    const pull = await w.pull();
    assert.equal(pull.pull.draft, true);
    assert.match(pull.body, /left out before the lock .*test_underscores/);
    assert.match(pull.body, /left out before the lock .*test_more/);
    assert.equal((await w.proof(pull)).at(-1).passed, true);
});

test('with no samples the tests are locked as they were written', options, async (t) => {
    const w = await world(t, {
        config: () => ({ limits: { samples: 0 } }),
        model: script({ tests: fenced(`${GOOD_TESTS}\n\n${WRONG}`) }),
    });
    const issue = w.ask();
    const [job] = await w.ended();
    assert.equal(job.outcome, 'needs-human');
    assert.equal(w.model.of('implement').length, 1);
    assert.match(w.said(issue).join('\n'), /test_underscores/, 'the wrong test is what fails');
});

test('code that passes every test, though the static gate finds something in it, is what a person gets', options, async (t) => {
    const untyped = GOOD_CODE.replace('    return ', '    made: int = ').replace('.strip("-")\n', '.strip("-")\n    return made\n');
    const w = await world(t, { model: script({ implement: fenced(untyped), repair: fenced(WORSE_CODE) }) });
    const issue = w.ask();
    const [job] = await w.ended();
    assert.equal(job.outcome, 'needs-human');
    assert.match(job.reason, /still fail, first: mypy/, 'not the tests that the mended code fails');
    assert.match(w.said(issue).join('\n'), /mypy/);
});

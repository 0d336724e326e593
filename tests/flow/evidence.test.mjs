// Evidence beyond red and green: what of the change the tests run, and whether they find faults in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, fenced, GOOD_CODE, script, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 480_000 };

// Right, with a way that no test goes.
const LONG_WAY = `
import re


def slugify(text: str) -> str:
    """The text as a part of an address."""
    if len(text) > 1000:
        text = text[:1000]
        text = text.rstrip()
        text = text.lower()
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
`;

test('a change that its tests do not run enough of is a draft, with the lines marked', options, async (t) => {
    const w = await world(t, { model: script({ implement: fenced(LONG_WAY) }) });
    w.ask();
    const pull = await w.pull();
    assert.equal(pull.pull.draft, true);
    assert.match(pull.body, /The tests run 55 % of the changed lines and branches, less than the 80 % that are asked/);
    assert.match(pull.body, /\| coverage \| 55 %: the tests run 4 of 7 changed lines and 1 of 2 branches \|/);
    const [check] = w.checks();
    assert.equal(check.conclusion, 'neutral');
    const [note] = check.annotations;
    assert.equal(note.path, 'src/shop/text.py');
    assert.equal(note.end_line - note.start_line, 2, 'three lines, one place');
    assert.equal(note.message, 'No test runs this.');
});

test("a repository's own threshold is the one that counts", options, async (t) => {
    const w = await world(t, {
        model: script({ implement: fenced(LONG_WAY) }),
        files: { '.github/assay.yml': 'thresholds: {coverage: 0.5}\n' },
    });
    w.ask();
    const pull = await w.pull();
    assert.equal(pull.pull.draft, false, pull.body);
    assert.match(pull.body, /What no test runs/);
});

// Every line is run, but little is looked at.
const BONUS = {
    title: 'A bonus for many points',
    body: `### Signature
\`bonus(points: int) -> int\`

### File
src/shop/bonus.py

### Behaviour
From 50 points on twice the points plus one, else nothing.

### Examples
- \`bonus(10)\` -> \`0\`
`,
};
const BONUS_CODE = `
def bonus(points: int) -> int:
    """What the points earn."""
    return points * 2 + 1 if points >= 50 else 0
`;
const WEAK = fenced('assert bonus(9) == 0  # few points');
const STRONG = fenced(`
assert bonus(60) == 121  # many points
assert bonus(50) == 101  # just enough
assert bonus(3) == 7  # wrong
assert bonus(8) == 0  # finds nothing
`);

const weakly = (later) =>
    script({ implement: fenced(BONUS_CODE), tests: ({ prompt }) => (/its tests pass/.test(prompt) ? later : WEAK) });

test('tests that find too few mutants are asked for more, kept apart, and shown as later', options, async (t) => {
    const w = await world(t, { model: weakly(STRONG) });
    w.ask(BONUS);
    const pull = await w.pull();
    const [first, second] = await w.proof(pull);
    assert.deepEqual(first.paths, ['tests/test_bonus.py', 'tests/test_bonus_mutants.py']);
    assert.equal(second.passed, true, second.output);
    const later = (await w.repo.git.read(second.id, 'tests/test_bonus_mutants.py')).toString();
    assert.match(later, /^# Written after the code/);
    assert.deepEqual(later.match(/== \d+/g), ['== 121', '== 101'], 'what is wrong or finds nothing is left out');
    assert.match(pull.body, /\| mutants \| the tests find \d of \d small faults .*; 2 tests for that written after/);
    assert.match(pull.body, /`tests\/test_bonus_mutants.py` \| test, after the code \| tests \|/);
    const asked = w.model.of('tests').filter(({ prompt }) => !/properties of/.test(prompt));
    assert.equal(asked.length, 2);
    assert.match(asked[1].prompt, /`return points \* 2 \+ 1 if .*` changed to `/);
});

test('a change with faults that no test finds is a draft, with the lines marked', options, async (t) => {
    const w = await world(t, { model: weakly('I know no more tests.') });
    w.ask(BONUS);
    const pull = await w.pull();
    assert.equal(pull.pull.draft, true);
    assert.match(pull.body, /The tests find \d of \d small faults that were put into the code, less than the 70 %/);
    assert.match(pull.body, /Faults that no test finds/);
    const [check] = w.checks();
    assert.match(check.annotations.at(-1).message, /^No test fails when this line becomes: return /);
});

// What no test looks at; only an input that nobody thought of shows it.
const SUBTLE = GOOD_CODE.replace('    return', '    if len(text) == 1:\n        return "-"\n    return');
const OTHER = GOOD_CODE.replace(/re\.sub.*/, 'text.lower().replace(" ", "-").replace("???", "").strip("-")');
const PROPERTIES = fenced(`
@given(st.text())
def test_property_no_hyphen_first(text):
    assert not slugify(text).startswith("-")


@given(st.text())
def test_property_is_short(text):
    assert len(slugify(text)) < 2


def test_no_property():
    assert slugify("x") == "x"
`);

test('an input that breaks a property becomes a test, and the code is repaired', options, async (t) => {
    const w = await world(t, {
        config: () => ({ limits: { samples: 3 } }),
        model: script({
            tests: ({ prompt }) => /random inputs/.test(prompt) && PROPERTIES,
            implement: ({ n }) => fenced([SUBTLE, OTHER][n - 1] ?? GOOD_CODE),
        }),
    });
    w.ask();
    const pull = await w.pull();
    const [first, second] = await w.proof(pull);
    assert.deepEqual(first.paths, ['tests/test_slugify.py', 'tests/test_slugify_counterexamples.py']);
    assert.equal(second.passed, true, second.output);
    const later = (await w.repo.git.read(second.id, 'tests/test_slugify_counterexamples.py')).toString();
    assert.match(later, /def test_counterexample_no_hyphen_first\(\):\n {4}text = "."\n/);
    assert.match(w.model.of('repair')[0].prompt, /test_counterexample_no_hyphen_first: for text=/);
    assert.match(pull.body, /\| properties \| 1 property holds on 100 random inputs each .*; 1 input that broke/);
    assert.doesNotMatch(pull.body, /test_property_is_short/, 'most implementations do not keep it');
    assert.doesNotMatch(w.model.of('tests')[1].prompt, /return re\.sub/, 'written without sight of the code');
});

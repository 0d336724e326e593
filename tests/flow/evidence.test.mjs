// Evidence beyond red and green: what of the change the tests run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, fenced, script, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 240_000 };

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

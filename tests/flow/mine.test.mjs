// `assay mine`: tasks out of a repository's own functions and tests, and `assay eval` on them.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { git } from '../fake/git.mjs';
import { FakeModel } from '../fake/model.mjs';
import { cannotRun, command, fenced } from './harness.mjs';

const options = { skip: cannotRun, timeout: 240_000 };
const INITIALS = `def initials(name: str) -> str:
    """The first letter of each word, in capitals: 'ada lovelace' gives 'AL'."""
    return "".join(word[0] for word in name.split()).upper()
`;
const FILES = {
    'src/words/__init__.py': '',
    'src/words/text.py': `"""Words."""

seen = []


${INITIALS}

def shout(text):
    return text.upper()


def quiet(text):
    """The text in small letters, as it is."""
    return text.lower()


def check(text):
    """Refuses what is no text, with some error."""
    raise TypeError(text)


def remember(text):
    """Puts the text into a list of all."""
    seen.append(text)


def recall():
    """The text that came last, and no other."""
    return seen[-1]


class Word:
    def __len__(self):
        """The number of letters, without any blanks."""
        return 1

    def twice(self):
        """The word two times, with a blank between."""
        return "word word"
`,
    'tests/test_text.py': `import pytest
from words.text import check, initials, recall, remember


def test_two_words():
    assert initials("grace hopper") == "GH"


@pytest.mark.parametrize("name", ["", " "])
def test_no_word(name):
    assert initials(name) == ""


def test_check_refuses():
    with pytest.raises(Exception):
        check(1)


def test_a_word_is_remembered():
    assert remember("a") is None


def test_the_last_word_is_recalled():
    assert recall() == "a"
`,
};

async function setUp(t) {
    const folder = mkdtempSync(join(tmpdir(), 'assay mine '));
    const tree = join(folder, 'words');
    for (const [path, text] of Object.entries(FILES)) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
    }
    const seen = [];
    const model = await new FakeModel(() => {
        for (const path of readdirSync(join(folder, 'state/work'), { recursive: true })) {
            const full = join(folder, 'state/work', path);
            if (path.includes('asked/') && statSync(full).isFile()) seen.push(readFileSync(full, 'utf8'));
        }
        return fenced(INITIALS);
    }).start();
    const models = [{ name: 'one', kind: 'openai', base_url: `${model.url}/v1`, model: 'one' }];
    const routes = { tests: ['one'], implement: ['one'], repair: ['one'] };
    const thresholds = { coverage: 0, mutation: 0 }; // what is looked at is the mining
    const config = join(folder, 'assay.yml');
    writeFileSync(config, JSON.stringify({ state_dir: join(folder, 'state'), models, routes, thresholds }));
    t.after(async () => {
        await model.stop();
        rmSync(folder, { recursive: true });
    });
    const run = (name, ...args) => command(folder, [name, '--config', config, ...args]);
    const tasks = () => readFileSync(join(folder, 'words.jsonl'), 'utf8').trim().split('\n').map(JSON.parse);
    return { folder, tree, model, seen, run, tasks };
}

test('functions with telling tests become tasks, all others are counted with the reason', options, async (t) => {
    const { folder, tree, model, seen, run, tasks } = await setUp(t);
    const { status, out, err } = await run('mine', tree, '--json');
    assert.equal(status, 0, err);
    const summary = JSON.parse(out);
    const [task, other, ...more] = tasks().toSorted((a, b) => (a.task_id < b.task_id ? -1 : 1));
    assert.deepEqual(
        [task.task_id, other.task_id, more],
        ['words/src/words/text.py:initials', 'words/src/words/text.py:remember', []],
    );
    assert.deepEqual(task.tests.toSorted(), ['tests/test_text.py::test_no_word', 'tests/test_text.py::test_two_words']);
    assert.match(task.spec, /^## Signature\n\n`def initials\(name: str\) -> str:`[^]*'ada lovelace' gives 'AL'/);
    assert.deepEqual([summary.functions, summary.tasks], [8, 2]);
    assert.deepEqual(summary.left_out, {
        'no documentation': 1,
        'no test runs it': 1,
        'its tests pass without the body': 1,
        'its tests do not pass alone five times out of five': 1,
        'special name': 1,
        method: 1,
    });

    // The tasks are what `assay eval` takes: the model writes the body, its hidden tests pass, and were never there.
    const only = join(folder, 'only.jsonl');
    writeFileSync(only, `${JSON.stringify(task)}\n`);
    const evaluated = await run('eval', only, '--single-shot');
    assert.equal(evaluated.status, 0, evaluated.err);
    const result = JSON.parse(evaluated.out);
    assert.deepEqual([result.hidden, result.hidden_end], [true, 'passed']);
    assert.ok(seen.some((text) => text.includes('raise NotImplementedError')));
    for (const text of [...seen, JSON.stringify(model.requests)])
        assert.equal(/hopper|test_no_word|word\[0\] for/.test(text), false, text);
    assert.ok(seen.some((text) => text.includes('test_check_refuses')));
});

test('of a git repository its HEAD is taken, and nothing is written over', options, async (t) => {
    const { folder, tree, run, tasks } = await setUp(t);
    await git(tree, 'init', '--quiet', '--initial-branch=main');
    await git(tree, 'add', '--all');
    await git(tree, 'commit', '--quiet', '-m', 'Start');
    writeFileSync(join(tree, 'src/words/text.py'), 'broken(');
    const { status, out, err } = await run('mine', tree, '--limit', '1');
    assert.equal(status, 0, err);
    assert.match(out, /^1 tasks with \d hidden tests?/);
    assert.equal(tasks().length, 1);
    assert.equal(readFileSync(join(folder, 'words.repo/src/words/text.py'), 'utf8'), FILES['src/words/text.py']);
    const again = await run('mine', tree);
    assert.deepEqual([again.status, tasks().length], [2, 1]);
    assert.match(again.err, /is there already/);
});

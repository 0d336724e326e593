// `assay eval`: tasks with hidden tests, the file of results, the baseline, two runs compared.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
    appendFileSync,
    cpSync,
    existsSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    statSync,
    writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { git } from '../fake/git.mjs';
import { FakeModel } from '../fake/model.mjs';
import { binary, cannotRun, command, fenced, root, SHOP, tools, until, wait } from './harness.mjs';

const options = { skip: cannotRun, timeout: 180_000 };
const TASKS = join(root, 'examples/tasks/small.jsonl');
const solutions = JSON.parse(readFileSync(join(root, 'tests/fixtures/tasks/solutions.json'), 'utf8'));
const nameOf = new Map(readLines(TASKS).map((task) => [task.entry_point, task.task_id]));

function readLines(path) {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean).map(JSON.parse);
}

/** What a model that can do everything writes: the reference of the function that is asked for. */
function solve({ role, prompt }) {
    const [, name] =
        [...prompt.matchAll(/def (\w+)\(|`(\w+)\(/g)]
            .map((found) => [0, found[1] ?? found[2]])
            .filter(([, each]) => nameOf.has(each))
            .at(-1) ?? [];
    return role === 'tests' ? 'There is nothing to add to the examples.' : fenced(solutions[nameOf.get(name)] ?? '');
}

async function setUp(t, handler = solve) {
    const folder = mkdtempSync(join(tmpdir(), 'assay eval '));
    const model = await new FakeModel(handler).start();
    const models = ['tests', 'implement', 'repair'].map((name) => ({
        name,
        kind: 'openai',
        base_url: `${model.url}/v1`,
        model: name,
        price: { input: 1, output: 2 },
    }));
    const routes = { tests: ['tests'], implement: ['implement'], repair: ['repair'] };
    const thresholds = { coverage: 0, mutation: 0 }; // the examples alone are the tests here
    const config = { state_dir: join(folder, 'state'), models, routes, thresholds };
    writeFileSync(join(folder, 'assay.yml'), JSON.stringify(config));
    t.after(async () => {
        await model.stop();
        rmSync(folder, { recursive: true });
        model.check();
    });
    const out = join(folder, 'results.jsonl');
    const run = (...args) => command(folder, ['eval', '--config', join(folder, 'assay.yml'), ...args]);
    return { folder, model, run, out, results: () => readLines(out) };
}

const ids = (lines) => lines.map((line) => line.task_id).sort(); // several tasks at once end in any order

const write = (folder, name, ...tasks) => {
    const path = join(folder, name);
    writeFileSync(path, tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
    return path;
};

test('every task of the examples can be done: one answer each, no test seen', options, async (t) => {
    const { model, run, out, results } = await setUp(t);
    const { status, out: summary, err } = await run(TASKS, '--single-shot', '--out', out, '--json');
    assert.equal(status, 0, err);
    assert.deepEqual(
        results().filter((line) => !line.hidden),
        [],
    );
    assert.equal(model.requests.length, nameOf.size);
    for (const { body } of model.requests)
        assert.deepEqual([body.temperature, body.max_tokens, body.messages.length], [0, 600, 1]);
    const [only, ...more] = JSON.parse(summary).runs;
    assert.deepEqual(more, []);
    assert.deepEqual([only.mode, only.tasks, only.rates.hidden.rate], ['single-shot', nameOf.size, 1]);
    assert.ok(only.rates.hidden.low > 0.75 && only.rates.hidden.high === 1);
    assert.ok(Math.abs(only.cost_usd.monthly[5000] - 5000 * only.cost_usd.mean) < 1e-9);
});

test('a result has what is documented, the summary its rates', options, async (t) => {
    const { run, out, results } = await setUp(t);
    const { status, out: summary, err } = await run(TASKS, '--sample', '3', '--seed', '2', '--out', out);
    assert.equal(status, 0, err);
    const lines = results();
    assert.equal(lines.length, 3);
    for (const line of lines) {
        const types = {
            task_id: 'string',
            status: 'string',
            first_try: 'boolean',
            after_repair: 'boolean',
            static: 'boolean',
            hidden: 'boolean',
            rounds: 'number',
            seconds: 'number',
            tokens_in: 'number',
            tokens_out: 'number',
            cost_usd: 'number',
            model: 'string',
            templates: 'string',
        };
        for (const [name, type] of Object.entries(types)) assert.equal(typeof line[name], type, name);
        assert.deepEqual([line.status, line.hidden, line.first_try], ['proven', true, true], JSON.stringify(line));
        assert.ok(line.cost_usd > 0 && line.tokens_in > 100);
    }
    for (const pattern of [/first_try +100\.0 %/, /precision +100\.0 % +3\/3 +\[ *43\.\d, 100\.0\]/, /150,000/])
        assert.match(summary, pattern);
    assert.match(err, /3\/3 \S+: proven, hidden test passed/);
    assert.equal((await run('--summary', out)).out, summary);
});

const CANARY = ['unseen', 'canary', '7f3a'].join('-');

/** All files below a folder that hold the canary. */
function findCanary(folder) {
    return readdirSync(folder, { recursive: true })
        .map((name) => join(folder, name))
        .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
        .filter((path) => readFileSync(path).includes(CANARY));
}

test(
    'no byte of the hidden test is seen by a model, a workspace or the state before the outcome stands',
    options,
    async (t) => {
        // The code itself looks for the canary, wherever it runs: it doubles as long as it is not there. Only the hidden
        // test finds that it is, which also shows that the search would have found it.
        const code = `
import os


def double(number: int) -> int:
    """Twice the number, until a test has been seen that must not be."""
    wanted = "-".join(["unseen", "canary", "7f3a"]).encode()
    for top in ("/workspace", "/tmp", "/proc/self"):
        for folder, _, names in os.walk(top):
            for name in names:
                if top == "/proc/self" and name not in ("cmdline", "environ"):
                    continue
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        if wanted in file.read(1 << 20):
                            return -1
                except OSError:
                    continue
    return 2 * number
`;
        const seen = [];
        const world = await setUp(t, ({ role }) => {
            seen.push(...findCanary(join(world.folder, 'state')));
            return role === 'tests' ? 'No more tests.' : fenced(code);
        });
        const task = {
            task_id: 'own/double',
            prompt: 'def double(number: int) -> int:\n    """Twice the number.\n\n    >>> double(4)\n    8\n    """\n',
            entry_point: 'double',
            test: `# ${CANARY}\ndef check(candidate):\n    assert candidate(2) == -1\n`,
        };
        const { status, err } = await world.run(write(world.folder, 'tasks.jsonl', task), '--out', world.out);
        assert.equal(status, 0, err);
        const [line] = world.results();
        assert.deepEqual([line.status, line.hidden], ['proven', true], JSON.stringify(line));
        assert.ok(world.model.requests.length >= 2);
        assert.equal(JSON.stringify(world.model.requests).includes(CANARY), false);
        assert.deepEqual([...seen, ...findCanary(join(world.folder, 'state'))], []);
        assert.equal(readFileSync(world.out, 'utf8').includes(CANARY) || err.includes(CANARY), false);
    },
);

test(
    'the hidden test may use what the prompt defines beside the function, and is not fooled by an early end',
    options,
    async (t) => {
        const early = {
            'own/unscramble': 'import sys\nsys.exit(0)\n\n\ndef unscramble(text: str) -> str:\n    return text\n',
        };
        const { folder, run, out, results } = await setUp(t, ({ n }) =>
            fenced(n === 1 ? solutions['own/unscramble'] : early['own/unscramble']),
        );
        const task = readLines(TASKS).find((each) => each.task_id === 'own/unscramble');
        const tasks = write(folder, 'two.jsonl', task, { ...task, task_id: 'again' });
        assert.equal((await run(tasks, '--single-shot', '--jobs', '1', '--out', out)).status, 0);
        assert.deepEqual(
            results().map((line) => [line.hidden, line.hidden_end]),
            [
                [true, 'passed'],
                [false, 'failed'],
            ],
        );
    },
);

test('a task may be asked inside a repository given as a bundle', options, async (t) => {
    const { folder, model, run, out, results } = await setUp(t);
    const tree = join(folder, 'shop');
    cpSync(SHOP, tree, { recursive: true });
    await git(tree, 'init', '--quiet', '--initial-branch=main');
    await git(tree, 'add', '--all');
    await git(tree, 'commit', '--quiet', '-m', 'Start');
    await git(tree, 'bundle', 'create', '--quiet', '../shop.bundle', 'HEAD', 'main');
    const task = readLines(TASKS).find((each) => each.task_id === 'shop/initials');
    const tasks = write(folder, 'tasks.jsonl', { ...task, repo: 'shop.bundle' });
    const { status, err } = await run(tasks, '--out', out);
    assert.equal(status, 0, err);
    assert.deepEqual([results()[0].status, results()[0].hidden], ['proven', true], JSON.stringify(results()));
    assert.match(model.of('implement')[0].prompt, /def shorten/);
});

test('an interrupted evaluation goes on: what is there is kept, half a line is not', options, async (t) => {
    const { model, run, out, results } = await setUp(t);
    const args = [TASKS, '--single-shot', '--sample', '4', '--out', out];
    assert.equal((await run(...args)).status, 0);
    const before = results();
    writeFileSync(
        out,
        before
            .slice(0, 2)
            .map((line) => `${JSON.stringify(line)}\n`)
            .join(''),
    );
    appendFileSync(out, JSON.stringify(before[2]).slice(0, 40));
    const { status, out: summary, err } = await run(...args);
    assert.equal(status, 0, err);
    assert.equal(model.requests.length, 4 + 2);
    assert.deepEqual(ids(results()), ids(before));
    assert.match(summary, /4 tasks/);
    // Another way of doing it is another result.
    assert.equal((await run(...args, '--model', 'repair')).status, 0);
    assert.equal(results().length, 8);
});

test('tasks run side by side, and the model answers one at a time', options, async (t) => {
    let asking = 0;
    let most = 0;
    const { run, out, results } = await setUp(t, async (asked) => {
        most = Math.max(most, ++asking);
        await wait(150);
        asking--;
        return solve(asked);
    });
    const { status, err } = await run(TASKS, '--single-shot', '--sample', '6', '--jobs', '3', '--out', out);
    assert.equal(status, 0, err);
    assert.equal(most, 1);
    for (const line of results()) assert.ok(line.seconds < 0.45, `${line.seconds} s: the wait for others counts`);
});

test('a run that is told to stop ends soon and leaves nothing behind', options, async (t) => {
    const world = await setUp(t, ({ n }) => (n > 1 ? { end: 'stall' } : fenced('pass')));
    const args = ['eval', '--config', join(world.folder, 'assay.yml'), TASKS, '--jobs', '2', '--out', world.out];
    const env = { PATH: process.env.PATH, HOME: world.folder, ASSAY_TOOLS: tools };
    const child = spawn(binary, args, { cwd: world.folder, env, stdio: 'ignore' });
    const ended = new Promise((done) => child.on('close', done));
    await until('the model is asked', () => world.model.requests.length > 1, 20_000);
    const began = Date.now();
    child.kill('SIGTERM');
    assert.notEqual(await ended, 0);
    assert.ok(Date.now() - began < 5000);
    assert.deepEqual(readdirSync(join(world.folder, 'state/work')), ['model.turn']);
    assert.equal(readFileSync(world.out, 'utf8'), '');
});

test('results are in the store too, each once, also of an evaluation that was killed', options, async (t) => {
    const world = await setUp(t, ({ n, ...asked }) => (n === 3 && world.child ? { end: 'stall' } : solve(asked)));
    const args = [TASKS, '--single-shot', '--sample', '4', '--jobs', '2', '--out', world.out];
    const env = { PATH: process.env.PATH, HOME: world.folder, ASSAY_TOOLS: tools };
    world.child = spawn(binary, ['eval', '--config', join(world.folder, 'assay.yml'), ...args], {
        env,
        stdio: 'ignore',
    });
    await until('two tasks have a result', () => existsSync(world.out) && ids(world.results()).length === 2, 20_000);
    const killed = new Promise((done) => world.child.on('close', done));
    world.child.kill('SIGKILL');
    await killed;
    world.child = null;
    const { status, err } = await world.run(...args);
    assert.equal(status, 0, err);
    assert.equal(world.results().length, 4);
    const query = 'select run, task_id, line from eval_result order by task_id';
    const python =
        'import json, sqlite3, sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))';
    const rows = JSON.parse(execFileSync('python3', ['-c', python, join(world.folder, 'state/assay.db'), query]));
    assert.deepEqual(
        rows.map(([, id]) => id),
        ids(world.results()),
    );
    assert.equal(new Set(rows.map(([run]) => run)).size, 1);
    for (const [, id, line] of rows)
        assert.deepEqual(
            JSON.parse(line),
            world.results().find((each) => each.task_id === id),
        );
});

test('a model that is down gives no result, and exit status 3', options, async (t) => {
    let down = false;
    const { run, out, results } = await setUp(t, (asked) =>
        down || asked.n > 2 ? ((down = true), { status: 401 }) : solve(asked),
    );
    const { status, err } = await run(TASKS, '--single-shot', '--sample', '6', '--out', out);
    assert.equal(status, 3, err);
    assert.equal(results().length, 2);
    assert.match(err, /401/);
});

test('without --out results go to standard output', options, async (t) => {
    const { run } = await setUp(t);
    const { status, out, err } = await run(TASKS, '--single-shot', '--sample', '2');
    assert.equal(status, 0, err);
    assert.deepEqual(
        out
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line).hidden),
        [true, true],
    );
    assert.match(err, /single-shot, 2 tasks/);
});

test('two runs are compared task by task', options, async (t) => {
    const { folder, run } = await setUp(t);
    const line = (task_id, hidden, mode, tokens) => ({
        task_id,
        hidden,
        mode,
        status: 'proven',
        tokens_in: tokens,
        tokens_out: 0,
    });
    const passed = (mode, ...names) =>
        'abcdefghij'.split('').map((name) => line(name, names.includes(name), mode, mode === 'x' ? 100 : 300));
    const a = write(folder, 'a.jsonl', ...passed('x', 'a', 'b'), line('only', true, 'x', 1));
    const b = write(folder, 'b.jsonl', ...passed('y', 'b', 'c', 'd', 'e', 'f', 'g', 'h'));
    const { status, out, err } = await run('--compare', a, b, '--json');
    assert.equal(status, 0, err);
    const { tasks, only_in_a, rates, tokens_b_per_a } = JSON.parse(out);
    assert.deepEqual([tasks, only_in_a, tokens_b_per_a.median], [10, 1, 3]);
    const hidden = rates.find((rate) => rate.name === 'hidden');
    assert.deepEqual([hidden.a, hidden.b, hidden.only_a, hidden.only_b], [2, 7, ['a'], ['c', 'd', 'e', 'f', 'g', 'h']]);
    assert.ok(Math.abs(hidden.p - 0.125) < 1e-12);
    assert.match((await run('--compare', a, b)).out, /hidden +A +20\.0 % +B +70\.0 % +\+50\.0 points.*p = 0\.1250/);
});

test(
    'the evaluation on recorded answers fails for a lower rate, and for a prompt that was never recorded',
    options,
    async (t) => {
        const { folder, model } = await setUp(t, ({ prompt }) => solve({ prompt }));
        const file = (name, value) => {
            writeFileSync(join(folder, name), JSON.stringify(value));
            return join(folder, name);
        };
        const wanted = {
            tasks: 'examples/tasks/small.jsonl',
            sample: 1,
            seed: 3,
            model: 'm',
            least: { 'single-shot': { hidden: 1 } },
        };
        const recording = join(folder, 'recording.jsonl.gz');
        const run = (...args) =>
            new Promise((done) => {
                const argv = [join(root, 'tests/eval/run.mjs'), '--recording', recording, ...args];
                const env = { PATH: process.env.PATH, HOME: folder, ASSAY_TOOLS: tools, ASSAY_BINARY: binary };
                execFile(process.execPath, argv, { env }, (error, stdout, stderr) =>
                    done({ status: error?.code ?? 0, stdout, stderr }),
                );
            });
        const good = file('good.json', wanted);
        assert.equal((await run('--thresholds', good)).status, 2);
        const recorded = await run('record', '--upstream', model.url, '--thresholds', good);
        assert.equal(recorded.status, 0, recorded.stderr);
        const asked = model.requests.length;
        const replayed = await run('--thresholds', good);
        assert.equal(replayed.status, 0, replayed.stderr);
        assert.match(replayed.stdout, /single-shot hidden: 1\/1 = 100\.0 %, at least 100 %/);
        assert.equal(model.requests.length, asked);
        const higher = file('higher.json', { ...wanted, least: { 'single-shot': { hidden: 1.01 } } });
        assert.equal((await run('--thresholds', higher)).status, 1);
        const other = await run('--thresholds', file('other.json', { ...wanted, seed: 4 }));
        assert.equal(other.status, 1);
        assert.match(other.stderr, /was never recorded/);
    },
);

for (const [what, args, pattern] of [
    ['a file that is not there', ['nothing.jsonl'], /nothing\.jsonl/],
    ['a model that is not configured', [TASKS, '--model', 'gpt-9'], /gpt-9/],
    ['an unknown mean', [TASKS, '--without', 'luck'], /luck.*resample/],
    ['a sample that is no number', [TASKS, '--sample', 'many'], /--sample/],
    ['one file to compare', ['--compare', TASKS], /argument/],
    ['a results file that holds something else', [TASKS, '--single-shot', '--out', TASKS], /line 1/],
])
    test(`${what} is exit status 2 and one line`, options, async (t) => {
        const { run } = await setUp(t);
        const before = readFileSync(TASKS);
        const { status, err } = await run(...args);
        assert.equal(status, 2, err);
        assert.match(err.trim(), pattern);
        assert.equal(err.trim().split('\n').length, 1, err);
        assert.deepEqual(readFileSync(TASKS), before);
    });

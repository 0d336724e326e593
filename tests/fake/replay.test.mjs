// deploy/replay.py: what was recorded comes back as it was, and nothing else does.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { FakeModel } from './model.mjs';

const script = fileURLToPath(new URL('../../deploy/replay.py', import.meta.url));
let folder, file, model;
const started = [];

before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'replay-'));
    file = join(folder, 'recording.jsonl');
    model = await new FakeModel(({ n }) => `answer ${n} — ünï`).start();
});
after(async () => {
    started.forEach((child) => child.kill());
    await model.stop();
    rmSync(folder, { recursive: true });
});

async function replay(...args) {
    const child = spawn('/usr/bin/python3', [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    started.push(child);
    child.problems = '';
    child.stderr.on('data', (text) => {
        child.problems += text;
    });
    for await (const line of createInterface({ input: child.stdout }))
        return { child, url: line.replace('listening on ', '') };
    return { child, url: null };
}
const ask = async (url, prompt, more = {}) => {
    const body = { model: 'implement', messages: [{ role: 'user', content: prompt }], stream: true, ...more };
    const answer = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
    });
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
};

test('a recorded answer is replayed byte for byte, in order, without the model', async () => {
    const { url, child } = await replay('record', '--file', file, '--upstream', model.url);
    const first = await ask(url, 'one');
    const again = await ask(url, 'one');
    const noisy = await ask(url, 'failed in 0.31s at 0x7f00aa11bb22');
    child.kill();
    assert.notEqual(first.text, again.text);
    const { url: from } = await replay('serve', '--file', file);
    const asked = model.requests.length;
    assert.deepEqual(await ask(from, 'one'), first);
    assert.deepEqual(await ask(from, 'one', { user: 'someone' }), again);
    assert.deepEqual(await ask(from, 'one'), again);
    assert.deepEqual(await ask(from, 'failed in 1.75s at 0x7f99cc33dd44'), noisy);
    assert.equal(model.requests.length, asked);
    assert.equal(readFileSync(file, 'utf8').trim().split('\n').length, 3);
});
test('a request that was never recorded fails loudly', async () => {
    const { url, child } = await replay('serve', '--file', file);
    for (const answer of [await ask(url, 'two'), await ask(url, 'one', { temperature: 0.7 })]) {
        assert.equal(answer.status, 501);
        assert.match(JSON.parse(answer.text).error.message, /was never recorded/);
    }
    assert.match(child.problems, /was never recorded/);
});
test('the complaint shows what tells it from the nearest recorded request', async () => {
    const { url } = await replay('serve', '--file', file);
    const { message } = JSON.parse((await ask(url, 'failed in 1 second at noon')).text).error;
    assert.match(message, /request [0-9a-f]{12}/);
    assert.match(message, /^\+failed in 1 second at noon$/m);
    assert.match(
        JSON.parse((await ask(url, 'one', { temperature: 0.7 })).text).error.message,
        /^\+temperature: 0\.7$/m,
    );
});
test('both: what is recorded is answered from the file, the rest is asked for once and added', async () => {
    const path = join(folder, 'both.jsonl');
    writeFileSync(path, readFileSync(file, 'utf8').split('\n')[0] + '\n{"key": "half a li');
    const before = model.requests.length;
    const { url, child } = await replay('both', '--file', path, '--upstream', `${model.url}/v1`);
    const known = await ask(url, 'one');
    assert.equal(model.requests.length, before);
    const [fresh, same] = await Promise.all([ask(url, 'three'), ask(url, 'three')]);
    assert.equal(model.requests.length, before + 1);
    assert.deepEqual(same, fresh);
    child.kill();
    const { url: from } = await replay('serve', '--file', path, '--latencies');
    assert.deepEqual([await ask(from, 'one'), await ask(from, 'three')], [known, fresh]);
});
test('of two requests that differ in what is taken for noise each gets its own answer', async () => {
    const path = join(folder, 'noise.jsonl');
    const { url, child } = await replay('record', '--file', path, '--upstream', model.url);
    const answers = [await ask(url, 'wait 5 seconds'), await ask(url, 'wait 6 seconds')];
    child.kill();
    const { url: from } = await replay('serve', '--file', path);
    assert.deepEqual([await ask(from, 'wait 6 seconds'), await ask(from, 'wait 5 seconds')], answers.toReversed());
    assert.equal((await ask(from, 'wait 7 seconds')).status, 200);
    const asked = model.requests.length;
    const { url: both } = await replay('both', '--file', path, '--upstream', model.url);
    await ask(both, 'wait 6 seconds');
    assert.equal(model.requests.length, asked);
    await ask(both, 'wait 7 seconds');
    assert.equal(model.requests.length, asked + 1);
});
test('pieces are passed on as they come, and kept when whoever asked has left', async () => {
    const path = join(folder, 'slow.jsonl');
    const text = 'word '.repeat(100);
    const slow = await new FakeModel(() => ({ text, slow: 30 })).start();
    const { url } = await replay('both', '--file', path, '--upstream', slow.url);
    const body = JSON.stringify({ model: 'x', messages: [{ role: 'user', content: 'tell' }], stream: true });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', body, headers });
    const reader = answer.body.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    assert.match(first, /chat\.completion\.chunk/);
    assert.doesNotMatch(first, /\[DONE\]/);
    await reader.cancel();
    for (let i = 0; i < 100 && !existsSync(path); i++) await new Promise((done) => setTimeout(done, 50));
    const entry = JSON.parse(readFileSync(path, 'utf8'));
    assert.match(entry.text, /\[DONE\]/);
    assert.ok(entry.pieces.length > 5 && entry.pieces.reduce((sum, [ms]) => sum + ms, 0) > 200);
    await slow.stop();
});
test('a compressed recording is served, and not added to', async () => {
    const small = `${file}.gz`;
    writeFileSync(small, gzipSync(readFileSync(file)));
    const { url } = await replay('serve', '--file', small);
    assert.equal((await ask(url, 'one')).status, 200);
    for (const mode of ['record', 'both']) {
        const refused = await replay(mode, '--file', small, '--upstream', model.url);
        assert.equal(refused.url, null);
        assert.match(refused.child.problems, /nothing can be added to it/);
    }
});

test('a broken recording is refused with its line', async () => {
    const broken = join(folder, 'broken.jsonl');
    writeFileSync(broken, readFileSync(file, 'utf8').split('\n')[0] + '\n{"key":\n');
    const { child, url } = await replay('serve', '--file', broken);
    assert.equal(url, null);
    assert.match(child.problems, /broken\.jsonl:2/);
});
test('a model that is down is said to be', async () => {
    const { url } = await replay('record', '--file', join(folder, 'none.jsonl'), '--upstream', 'http://127.0.0.1:9');
    assert.equal((await ask(url, 'one')).status, 502);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FakeModel } from './model.mjs';

let model;
let say = () => 'hello';
before(async () => {
    model = await new FakeModel((asked) => say(asked)).start();
});
after(() => model.stop());

function ask(path, body, headers = {}) {
    return fetch(model.url + path, {
        method: 'POST',
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(500),
        headers: { 'content-type': 'application/json', ...headers },
    });
}
const chat = (more = {}) =>
    ask('/v1/chat/completions', { model: 'implement', messages: [{ role: 'user', content: 'write it' }], ...more });
const messages = (more = {}) =>
    ask(
        '/v1/messages',
        { model: 'tests', max_tokens: 100, messages: [{ role: 'user', content: 'write it' }], ...more },
        { 'x-api-key': 'key', 'anthropic-version': '2023-06-01' },
    );
const events = (text) =>
    text
        .split('\n')
        .filter((line) => line.startsWith('data: {'))
        .map((line) => JSON.parse(line.slice(6)));

test('OpenAI: a stream carries the text in pieces, then the usage', async () => {
    say = ({ role, prompt, n }) => `${role} ${n}: ${prompt} ${'x'.repeat(100)}`;
    const got = events(await (await chat({ stream: true, stream_options: { include_usage: true } })).text());
    assert.equal(
        got.map((one) => one.choices[0]?.delta.content ?? '').join(''),
        `implement 1: write it ${'x'.repeat(100)}`,
    );
    assert.equal(got.at(-1).usage.completion_tokens > 25, true);
    model.check();
});
test('Anthropic: a stream carries text, or the arguments of a forced tool', async () => {
    say = () => '{"file": "x.py"}';
    const plain = events(await (await messages({ stream: true })).text());
    assert.equal(
        plain
            .filter((one) => one.delta?.type === 'text_delta')
            .map((one) => one.delta.text)
            .join(''),
        say(),
    );
    const forced = await messages({
        stream: true,
        tools: [{ name: 'answer', input_schema: {} }],
        tool_choice: { type: 'tool', name: 'answer' },
    });
    assert.equal(
        events(await forced.text())
            .filter((one) => one.delta?.partial_json)
            .map((one) => one.delta.partial_json)
            .join(''),
        say(),
    );
    model.check();
});
test('a handler can answer with an error, a cut, a broken or a stalled stream', async () => {
    say = () => ({ status: 429, headers: { 'retry-after': '1' } });
    const limited = await chat();
    assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '1']);
    say = () => ({ text: 'half', cut: true });
    assert.equal((await (await chat()).json()).choices[0].finish_reason, 'length');
    for (const end of ['reset', 'half', 'stall']) {
        say = () => ({ text: 'a text of some length that takes two pieces', end });
        await assert.rejects(async () => (await chat({ stream: true })).text(), end);
    }
});
test('what the protocols do not know is a violation', async () => {
    say = () => 'hello';
    await chat({ thinking: true });
    await ask('/v1/messages', { model: 'tests', messages: [{ role: 'user', content: 'x' }] });
    assert.match(model.violations.join('\n'), /"thinking"[^]*x-api-key[^]*max_tokens/);
    assert.throws(() => model.check());
});

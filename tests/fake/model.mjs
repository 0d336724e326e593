// A language model that says what a test tells it to: OpenAI's and Anthropic's streaming protocols on loopback.
//
// The handler gets {role, prompt, system, n, request} and returns what to answer: a text, or an object:
//   {text, cut}          the answer; with `cut` it ends at the token limit
//   {text, slow}         one piece every `slow` ms
//   {status, body, headers}   an HTTP error
//   {end: "stall"|"reset"|"half", text}   nothing more after the headers | the connection breaks | it breaks half-way
// `role` is the request's model name ("implement" asks the model called implement), so a configuration that gives each
// role a model of its own name makes scripts read well; `n` counts that role's requests from 1.
import { createServer } from 'node:http';

const OPENAI_MEMBERS = new Set([
    'model',
    'messages',
    'stream',
    'stream_options',
    'temperature',
    'seed',
    'max_tokens',
    'max_completion_tokens',
    'response_format',
    'top_p',
    'stop',
]);
const ANTHROPIC_MEMBERS = new Set([
    'model',
    'messages',
    'stream',
    'system',
    'temperature',
    'max_tokens',
    'tools',
    'tool_choice',
    'stop_sequences',
    'top_p',
]);

const textOf = (content) =>
    typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('');
const tokens = (text) => Math.ceil(text.length / 4);

export class FakeModel {
    constructor(handler = () => 'hello') {
        this.handler = handler;
        this.requests = []; // {role, n, system, prompt, body, at, closed: when the connection was, by whomever}
        this.violations = [];
        this.counts = new Map();
    }

    async start(port = 0) {
        this.server = createServer((request, response) =>
            this.serve(request, response).catch((error) => {
                this.violations.push(error.stack);
                response.destroy();
            }),
        );
        await new Promise((listening) => this.server.listen(port, '127.0.0.1', listening));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    async stop() {
        this.server.closeAllConnections();
        await new Promise((closed) => this.server.close(closed));
    }

    check() {
        if (this.violations.length)
            throw new Error(`the model's protocol was broken:\n  ${this.violations.join('\n  ')}`);
    }

    of(role) {
        return this.requests.filter((one) => one.role === role);
    }

    async serve(request, response) {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const dialect = { 'POST /v1/chat/completions': openai, 'POST /v1/messages': anthropic }[
            `${request.method} ${request.url}`
        ];
        if (!dialect) {
            this.violations.push(`${request.method} ${request.url}: there is no such address`);
            response.writeHead(404).end('{"error":{"message":"no such address"}}');
            return;
        }
        const body = JSON.parse(Buffer.concat(chunks).toString());
        this.violations.push(...dialect.problems(request.headers, body));
        const n = (this.counts.get(body.model) ?? 0) + 1;
        this.counts.set(body.model, n);
        const asked = {
            role: body.model,
            n,
            body,
            system: dialect.system(body),
            at: Date.now(),
            prompt: body.messages
                .filter((one) => one.role === 'user')
                .map((one) => textOf(one.content))
                .join('\n'),
        };
        response.on('close', () => {
            asked.closed = Date.now();
        });
        this.requests.push(asked);
        const said = await this.handler(asked);
        await answer(response, dialect, asked, typeof said === 'string' ? { text: said } : said);
    }
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function answer(response, dialect, asked, { text = '', status, body, headers, end, cut = false, slow = 0 }) {
    if (end === 'reset') return response.destroy();
    if (status) {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        return response.end(body ?? JSON.stringify({ error: { message: `fake status ${status}`, type: 'fake' } }));
    }
    if (!asked.body.stream) {
        response.writeHead(200, { 'content-type': 'application/json' });
        return response.end(JSON.stringify(dialect.whole(asked, text, cut)));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    const events = dialect.events(asked, text, cut);
    const last = end === 'half' ? events.length / 2 : end === 'stall' ? 1 : events.length;
    for (const event of events.slice(0, last)) {
        if (response.destroyed) return;
        response.write(event);
        if (slow) await wait(slow);
    }
    if (end === 'half') setTimeout(() => response.destroy(), 20);
    else if (end !== 'stall') response.end();
}

const pieces = (text) => text.match(/[^]{1,40}/gu) ?? [];

const openai = {
    problems(headers, body) {
        const found = Object.keys(body)
            .filter((name) => !OPENAI_MEMBERS.has(name))
            .map((name) => `OpenAI has no member "${name}"`);
        if (!/^application\/json/.test(headers['content-type'] ?? ''))
            found.push('Content-Type is not application/json');
        if (!Array.isArray(body.messages) || !body.messages.length) found.push('messages is missing');
        for (const one of body.messages ?? [])
            if (!['system', 'user', 'assistant'].includes(one.role) || !textOf(one.content))
                found.push(`a message has role "${one.role}" and ${textOf(one.content).length} characters`);
        return found;
    },
    system: (body) =>
        body.messages
            .filter((one) => one.role === 'system')
            .map((one) => textOf(one.content))
            .join('\n'),
    usage: (asked, text) => ({
        prompt_tokens: tokens(asked.system + asked.prompt),
        completion_tokens: tokens(text),
        total_tokens: tokens(asked.system + asked.prompt) + tokens(text),
    }),
    whole(asked, text, cut) {
        return {
            id: 'chatcmpl-1',
            object: 'chat.completion',
            created: 1,
            model: `${asked.role}-2024-01-01`,
            choices: [
                { index: 0, message: { role: 'assistant', content: text }, finish_reason: cut ? 'length' : 'stop' },
            ],
            usage: this.usage(asked, text),
        };
    },
    events(asked, text, cut) {
        const chunk = (choices, more = {}) =>
            `data: ${JSON.stringify({
                id: 'chatcmpl-1',
                object: 'chat.completion.chunk',
                created: 1,
                model: `${asked.role}-2024-01-01`,
                choices,
                ...more,
            })}\n\n`;
        const delta = (value, reason = null) => [{ index: 0, delta: value, finish_reason: reason }];
        const out = [chunk(delta({ role: 'assistant', content: '' }))];
        out.push(...pieces(text).map((piece) => chunk(delta({ content: piece }))));
        out.push(chunk(delta({}, cut ? 'length' : 'stop')));
        if (asked.body.stream_options?.include_usage) out.push(chunk([], { usage: this.usage(asked, text) }));
        return [...out, 'data: [DONE]\n\n'];
    },
};

const anthropic = {
    problems(headers, body) {
        const found = Object.keys(body)
            .filter((name) => !ANTHROPIC_MEMBERS.has(name))
            .map((name) => `Anthropic has no member "${name}"`);
        if (!headers['x-api-key']) found.push('x-api-key is missing');
        if (headers['anthropic-version'] !== '2023-06-01')
            found.push(`anthropic-version is "${headers['anthropic-version']}"`);
        if (!Number.isInteger(body.max_tokens) || body.max_tokens < 1) found.push(`max_tokens is ${body.max_tokens}`);
        for (const one of body.messages ?? [])
            if (!['user', 'assistant'].includes(one.role) || !textOf(one.content))
                found.push(`a message has role "${one.role}" and ${textOf(one.content).length} characters`);
        if (body.tool_choice?.type === 'tool' && !body.tools?.some((tool) => tool.name === body.tool_choice.name))
            found.push(`tool_choice names "${body.tool_choice.name}", which is no tool`);
        return found;
    },
    system: (body) => textOf(body.system),
    usage: (asked) => ({
        input_tokens: tokens(asked.system + asked.prompt),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
    }),
    tool: (asked) => (asked.body.tool_choice?.type === 'tool' ? asked.body.tool_choice.name : null),
    stop: (tool, cut) => (cut ? 'max_tokens' : tool ? 'tool_use' : 'end_turn'),
    whole(asked, text, cut) {
        const tool = this.tool(asked);
        const block = tool
            ? { type: 'tool_use', id: 'toolu_1', name: tool, input: JSON.parse(text) }
            : { type: 'text', text };
        return {
            id: 'msg_1',
            type: 'message',
            role: 'assistant',
            model: `${asked.role}-20240101`,
            content: [block],
            stop_reason: this.stop(tool, cut),
            stop_sequence: null,
            usage: { ...this.usage(asked), output_tokens: tokens(text) },
        };
    },
    events(asked, text, cut) {
        const event = (type, value) => `event: ${type}\ndata: ${JSON.stringify({ type, ...value })}\n\n`;
        const tool = this.tool(asked);
        const block = tool ? { type: 'tool_use', id: 'toolu_1', name: tool, input: {} } : { type: 'text', text: '' };
        const delta = (piece) =>
            tool ? { type: 'input_json_delta', partial_json: piece } : { type: 'text_delta', text: piece };
        const message = { ...this.whole(asked, tool ? '{}' : '', cut), content: [], stop_reason: null };
        return [
            event('message_start', { message: { ...message, usage: { ...this.usage(asked), output_tokens: 1 } } }),
            event('content_block_start', { index: 0, content_block: block }),
            event('ping', {}),
            ...pieces(text).map((piece) => event('content_block_delta', { index: 0, delta: delta(piece) })),
            event('content_block_stop', { index: 0 }),
            event('message_delta', {
                delta: { stop_reason: this.stop(tool, cut), stop_sequence: null },
                usage: { output_tokens: tokens(text) },
            }),
            event('message_stop', {}),
        ];
    },
};

// A strict GitHub on loopback: state in memory, repositories on disk, every request held against GitHub's published
// description. What the product gets wrong is in `violations`, what this fake gets wrong in `mistakes`: check() throws
// for either. `writes` lists what was written, in order, for "exactly one" assertions.
import { createHash, randomUUID, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { rmSync } from 'node:fs';
import { serveGit } from './git.mjs';
import { findOperation, requestProblems, responseProblems } from './openapi.mjs';
import { Refusal, routes } from './routes.mjs';
import { State } from './state.mjs';

const API = '/api/v3';

export class FakeGitHub extends State {
    async start(port = 0) {
        this.server = createServer((request, response) => this.serve(request, response));
        this.server.keepAliveTimeout = 30_000;
        await new Promise((listening) => this.server.listen(port, '127.0.0.1', listening));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        this.apiUrl = this.url + API;
        return this;
    }

    async stop() {
        this.webhook = null;
        this.server.closeAllConnections();
        await new Promise((closed) => this.server.close(closed));
        rmSync(this.root, { recursive: true, force: true });
    }

    /** Throws when the product, or the fake, has broken GitHub's contract. */
    check() {
        const found = [...this.violations, ...this.mistakes.map((text) => `(the fake itself) ${text}`)];
        if (found.length) throw new Error(`GitHub's contract was broken:\n  ${found.join('\n  ')}`);
    }

    // ---- faults ----

    /** Makes requests fail. `match` is held against "POST /repos/o/r/pulls"; the first `after` matches are spared, then
     *  `times` are hit. What happens: `status` (with `body`, `headers`), or `end`: "stall" (no answer), "reset" (the
     *  connection breaks), "half" (it breaks in the middle of the true answer). With `applied` the request has its
     *  effect first, and only the answer is lost. */
    fault({ match, after = 0, times = 1, status, body, headers, end, applied = false }) {
        const fault = { match, after, times, status, body, headers, end, applied, hits: 0 };
        this.faults.push(fault);
        return fault;
    }

    faultFor(text) {
        for (const fault of this.faults) {
            if (!(fault.match instanceof RegExp ? fault.match.test(text) : text.startsWith(fault.match))) continue;
            if (fault.after > 0) {
                fault.after -= 1;
            } else if (fault.hits < fault.times) {
                fault.hits += 1;
                return fault;
            }
        }
        return null;
    }

    // ---- serving ----

    async serve(request, response) {
        const url = new URL(request.url, this.url);
        try {
            if (url.pathname.startsWith(API + '/')) await this.serveApi(request, response, url);
            else if (/^\/[^/]+\/[^/]+\.git\//.test(url.pathname)) await this.serveRepository(request, response, url);
            else
                this.reply(
                    response,
                    404,
                    { message: 'Not Found' },
                    this.violate(`${request.method} ${url.pathname}: no such page`),
                );
        } catch (error) {
            this.mistakes.push(`${request.method} ${url.pathname}: ${error.stack}`);
            response.destroy();
        }
    }

    async serveApi(request, response, url) {
        const raw = await readAll(request);
        const path = url.pathname.slice(API.length);
        const text = `${request.method} ${path}`;
        const log = {
            method: request.method,
            path,
            query: url.search,
            headers: request.headers,
            status: 0,
            at: Date.now(),
        };
        this.requests.push(log);
        const fault = this.faultFor(text);
        const answer =
            fault && !fault.applied && !fault.end?.startsWith('half')
                ? null
                : await this.answer(request, url, path, raw, log);
        if (fault) return this.misbehave(response, fault, answer, log);
        log.status = answer.status;
        this.reply(response, answer.status, answer.body, answer.headers);
    }

    misbehave(response, fault, answer, log) {
        log.fault = fault;
        if (fault.end === 'stall') return;
        if (fault.end === 'reset' || fault.end === 'half') {
            if (fault.end === 'half') {
                const text = JSON.stringify(answer.body);
                const headers = { 'content-type': 'application/json', 'content-length': text.length };
                return this.breakOff(response, answer.status, headers, text);
            }
            setTimeout(() => response.destroy(), 20);
            return;
        }
        log.status = fault.status;
        this.reply(response, fault.status, fault.body ?? { message: 'Server Error' }, fault.headers);
    }

    breakOff(response, status, headers, body) {
        response.writeHead(status, headers);
        response.write(body.slice(0, body.length / 2));
        setTimeout(() => response.destroy(), 20);
    }

    reply(response, status, body, headers = {}) {
        const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
        response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
        response.end(text);
    }

    async answer(request, url, path, raw, log) {
        const operation = findOperation(request.method, path);
        try {
            this.checkHeaders(request, raw, path);
            if (!operation) {
                this.violate(`${request.method} ${path}: GitHub has no such operation`);
                throw new Refusal(404, 'Not Found');
            }
            const context = this.contextOf(request, url, raw, operation);
            return this.finish(request, url, operation, log, context, await context.handler(context));
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            const body = {
                message: error.message,
                documentation_url: 'https://docs.github.com/rest',
                status: String(error.status),
            };
            return {
                status: error.status,
                body: error.errors ? { ...body, errors: error.errors } : body,
                headers: this.headers(),
            };
        }
    }

    checkHeaders(request, raw, path) {
        const where = `${request.method} ${path}`;
        const {
            'user-agent': agent,
            accept = '',
            'x-github-api-version': version,
            'content-type': type,
        } = request.headers;
        if (!agent) this.violate(`${where}: GitHub refuses requests without User-Agent`);
        if (!/application\/(vnd\.github[\w.+-]*\+)?json/.test(accept))
            this.violate(`${where}: Accept is "${accept}", application/vnd.github+json is recommended`);
        if (version !== undefined && version !== '2022-11-28')
            this.violate(`${where}: X-GitHub-Api-Version "${version}" is unknown`);
        if (raw.length && !/^application\/json/.test(type ?? ''))
            this.violate(`${where}: the body's Content-Type is "${type}"`);
    }

    contextOf(request, url, raw, operation) {
        const query = Object.fromEntries(url.searchParams);
        const body = raw.length ? parseJson(raw) : undefined;
        for (const problem of requestProblems(operation, query, body)) this.violate(`${operation.key}: ${problem}`);
        const [needs, handler, capability] = routes[operation.key] ?? [];
        if (!handler) this.mistakes.push(`${operation.key} is not implemented here`);
        if (!handler || (capability && !this.has(capability)) || (needs === 'jwt' && !this.has('apps')))
            throw new Refusal(404, 'Not Found');
        if (body === undefined && raw.length) throw new Refusal(400, 'Problems parsing JSON');
        const repo =
            operation.params.repo && this.repositories.get(`${operation.params.owner}/${operation.params.repo}`);
        const actor = needs === 'jwt' ? this.checkJwt(request) : this.checkToken(request, repo, needs, operation);
        if (operation.params.repo && !repo) throw new Refusal(404, 'Not Found');
        return { gh: this, repo, actor, query, body, params: operation.params, handler };
    }

    checkJwt(request) {
        const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
        const refuse = (why) => {
            this.violate(`App JWT: ${why}`);
            return new Refusal(401, `A JSON web token could not be decoded: ${why}`);
        };
        const parts = token.split('.');
        if (parts.length !== 3) throw refuse('there is none');
        const [header, claims] = parts.slice(0, 2).map((part) => parseJson(Buffer.from(part, 'base64url')) ?? {});
        if (
            header.alg !== 'RS256' ||
            !verify('RSA-SHA256', `${parts[0]}.${parts[1]}`, this.publicKey, Buffer.from(parts[2], 'base64url'))
        )
            throw refuse('the signature is wrong');
        const now = Date.now() / 1000;
        if (String(claims.iss) !== String(this.app.id)) throw refuse(`iss is ${claims.iss}`);
        if (!Number.isInteger(claims.iat) || claims.iat > now + 5) throw refuse(`iat is ${claims.iat}`);
        if (!Number.isInteger(claims.exp) || claims.exp <= now || claims.exp > now + 600)
            throw refuse(`exp is ${claims.exp - now} s from now`);
        return { app: true };
    }

    checkToken(request, repo, needs, operation) {
        const token = /^(?:Bearer|token) (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
        const actor = this.tokens.get(token);
        if (!actor || actor.expires <= Date.now()) throw new Refusal(401, 'Bad credentials');
        if (repo && actor.repositories && !actor.repositories.has(repo.fullName)) throw new Refusal(404, 'Not Found');
        const [names, level] = needs.split(':');
        const enough = (name) => actor.permissions[name] === 'write' || actor.permissions[name] === level;
        if (level && actor.permissions && !names.split('|').some(enough)) {
            this.violate(`${operation.key}: the token lacks ${needs}`);
            throw new Refusal(403, 'Resource not accessible by integration');
        }
        if (
            repo &&
            level === 'write' &&
            !actor.permissions &&
            !['write', 'maintain', 'admin'].includes(repo.permissions.get(actor.login))
        )
            throw new Refusal(403, 'Resource not accessible by personal access token');
        return actor;
    }

    finish(request, url, operation, log, context, { status = 200, body, list, wrap, cursor }) {
        const headers = this.headers();
        if (cursor) {
            const next = new URL(url);
            next.searchParams.set('cursor', cursor);
            headers.link = `<${next}>; rel="next"`;
        }
        if (list) body = this.page(url, list, wrap, headers);
        for (const problem of responseProblems(operation, status, body))
            this.mistakes.push(`${operation.key}: ${problem}`);
        log.key = operation.key;
        if (request.method !== 'GET') {
            const { repo, params } = context;
            this.writes.push({ key: operation.key, repo: repo?.fullName, params, body: context.body, status });
        } else {
            headers.etag = `W/"${createHash('sha256').update(JSON.stringify(body)).digest('hex')}"`;
            if (request.headers['if-none-match'] === headers.etag) return { status: 304, body: undefined, headers };
            this.rate.used += 1;
            this.rate.remaining -= 1;
        }
        return { status, body, headers };
    }

    headers() {
        return {
            'x-github-request-id': randomUUID(),
            'x-github-media-type': 'github.v3; format=json',
            'x-ratelimit-limit': this.rate.limit,
            'x-ratelimit-remaining': this.rate.remaining,
            'x-ratelimit-used': this.rate.used,
            'x-ratelimit-reset': this.rate.reset,
            'x-ratelimit-resource': 'core',
        };
    }

    page(url, list, wrap, headers) {
        const size = Number(url.searchParams.get('per_page') ?? 30);
        const page = Number(url.searchParams.get('page') ?? 1);
        const last = Math.max(1, Math.ceil(list.length / size));
        const link = (rel, number) => {
            const to = new URL(url);
            to.searchParams.set('page', number);
            return `<${to}>; rel="${rel}"`;
        };
        const links = [];
        if (page > 1) links.push(link('prev', page - 1), link('first', 1));
        if (page < last) links.push(link('next', page + 1), link('last', last));
        if (links.length) headers.link = links.join(', ');
        const part = list.slice((page - 1) * size, page * size);
        return wrap ? { total_count: list.length, [wrap]: part } : part;
    }

    async serveRepository(request, response, url) {
        const name = /^\/([^/]+\/[^/]+)\.git\//.exec(url.pathname)[1];
        const repo = this.repositories.get(name);
        const fault = this.faultFor(`GIT ${request.method} ${url.pathname}${url.search}`);
        if (fault && !fault.applied && fault.end !== 'half') return this.misbehave(response, fault, null, {});
        const [login, token] = Buffer.from(
            /^Basic (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '',
            'base64',
        )
            .toString()
            .split(':');
        const actor = this.tokens.get(token);
        if (!actor || actor.expires <= Date.now()) {
            if (token) this.requests.push({ method: 'GIT', path: url.pathname, status: 401, at: Date.now() });
            return this.reply(response, 401, 'Bad credentials', { 'www-authenticate': 'Basic realm="GitHub"' });
        }
        if (actor.installation && login !== 'x-access-token')
            this.violate(`git: the user name for an installation token is "${login}", not x-access-token`);
        const push =
            url.pathname.endsWith('git-receive-pack') || url.searchParams.get('service') === 'git-receive-pack';
        const allowed = actor.repositories ? actor.repositories.has(name) : true;
        if (!repo || !allowed || (push && actor.permissions && actor.permissions.contents !== 'write'))
            return this.reply(response, 404, 'Repository not found.');
        const before = await repo.git.branches();
        const answer = await serveGit(this.root, request, {
            path: url.pathname,
            query: url.search.slice(1),
            login: actor.login,
        });
        if (url.pathname.endsWith('git-receive-pack')) this.notePush(repo, actor, before, await repo.git.branches());
        if (fault?.end === 'half') return this.breakOff(response, answer.status, answer.headers, answer.body);
        if (fault) return response.destroy();
        response.writeHead(answer.status, answer.headers);
        response.end(answer.body);
    }

    notePush(repo, actor, before, after) {
        for (const branch of new Set([...Object.keys(before), ...Object.keys(after)])) {
            if (before[branch] === after[branch]) continue;
            this.writes.push({
                key: 'PUSH',
                repo: repo.fullName,
                branch,
                from: before[branch] ?? null,
                to: after[branch] ?? null,
                login: actor.login,
            });
            for (const one of this.pulls(repo))
                if (one.state === 'open' && one.pull.head === branch && after[branch]) one.pull.headSha = after[branch];
        }
    }
}

function parseJson(bytes) {
    try {
        return JSON.parse(bytes.toString());
    } catch {
        return undefined;
    }
}

async function readAll(stream) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
}

// A strict GitHub on loopback: state in memory, repositories on disk, every request held against GitHub's published
// description. What the product gets wrong is in `violations`, what this fake gets wrong in `mistakes`: check() throws
// for either. `writes` lists what was written, in order, for "exactly one" assertions.
import { createHash, createPublicKey, generateKeyPairSync, randomUUID, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GitRepository, serveGit } from './git.mjs';
import { findOperation, requestProblems, responseProblems } from './openapi.mjs';
import { Refusal, routes } from './routes.mjs';
import * as shapes from './shapes.mjs';
import { payloadOf, send } from './webhooks.mjs';

const API = '/api/v3';
const CAPABILITIES = ['apps', 'checks', 'reactions', 'drafts'];
const PERMISSIONS = {
    metadata: 'read',
    contents: 'write',
    issues: 'write',
    pull_requests: 'write',
    checks: 'write',
    statuses: 'write',
};

export class FakeGitHub {
    /** `lacks`: names of CAPABILITIES that this server does not have. */
    constructor({
        slug = 'assay',
        appId = 4711,
        webhookSecret = 'hook-secret',
        lacks = [],
        tokenLife = 3600_000,
    } = {}) {
        const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
        this.privateKey = privateKey.export({ type: 'pkcs1', format: 'pem' });
        this.publicKey = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }));
        this.webhookSecret = webhookSecret;
        this.capabilities = new Set(CAPABILITIES.filter((name) => !lacks.includes(name)));
        this.tokenLife = tokenLife;
        this.app = {
            id: appId,
            slug,
            owner: 'octo',
            permissions: PERMISSIONS,
            events: ['issues', 'issue_comment', 'pull_request', 'pull_request_review', 'pull_request_review_comment'],
        };
        this.botLogin = `${slug}[bot]`;
        this.lastId = 1000;
        this.rate = { limit: 5000, remaining: 5000, used: 0, reset: Math.floor(Date.now() / 1000) + 3600 };
        for (const name of ['users', 'repositories', 'installations', 'tokens', 'comments', 'reviewComments'])
            this[name] = new Map();
        for (const name of ['violations', 'mistakes', 'requests', 'writes', 'faults', 'deliveries']) this[name] = [];
        this.webhook = null; // where deliveries go; null: nowhere
        this.sending = Promise.resolve();
        this.root = mkdtempSync(join(tmpdir(), 'fake-github-'));
        this.user(this.botLogin, 'Bot');
    }

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

    has(capability) {
        return this.capabilities.has(capability);
    }

    violate(text) {
        this.violations.push(text);
    }

    newId() {
        return ++this.lastId;
    }

    // ---- state ----

    user(login, type = 'User') {
        if (!this.users.has(login)) {
            const id = this.newId();
            this.users.set(login, { login, id, type, name: login, email: `${login}@users.example.com` });
        }
        return this.users.get(login);
    }

    /** "owner/name" with its first commit made of `seed` (a folder) and `files`; the App is installed on it. */
    async addRepository(fullName, { seed, files, branch = 'main', installed = true } = {}) {
        const [owner, name] = fullName.split('/');
        this.user(owner);
        const repo = {
            id: this.newId(),
            owner,
            name,
            fullName,
            private: true,
            defaultBranch: branch,
            nextNumber: 1,
            installation: installed && this.has('apps') ? this.installationOf(owner).id : null,
            labels: new Map(),
            issues: new Map(),
            checks: new Map(),
            statuses: [],
            permissions: new Map([[owner, 'admin']]),
            git: await GitRepository.create(join(this.root, `${fullName}.git`), { seed, files, branch }),
        };
        this.repositories.set(fullName, repo);
        return repo;
    }

    installationOf(account) {
        for (const one of this.installations.values()) if (one.account === account) return one;
        const one = { id: this.newId(), account };
        this.installations.set(one.id, one);
        return one;
    }

    repositoriesOf(installation) {
        return [...this.repositories.values()].filter((repo) => repo.installation === installation);
    }

    /** read, triage, write, maintain, admin or none. */
    permit(repo, login, role) {
        this.user(login);
        repo.permissions.set(login, role);
    }

    /** A personal access token of a user. */
    addToken(token, login) {
        this.user(login);
        this.tokens.set(token, { login, installation: null, expires: Infinity, permissions: null, repositories: null });
    }

    expireTokens() {
        for (const one of this.tokens.values()) if (one.installation) one.expires = 0;
    }

    commentsOf(repo, issue) {
        return [...this.comments.values()].filter((one) => one.repo === repo && one.number === issue.number);
    }

    reviewCommentsOf(issue) {
        return [...this.reviewComments.values()].filter((one) => one.number === issue.number);
    }

    // ---- what people (and, through the API, the product) do; each sends its webhook ----

    openIssue(repo, { title, body = '', user = repo.owner, labels = [] }) {
        const now = Date.now();
        const one = {
            id: this.newId(),
            number: repo.nextNumber++,
            title,
            body,
            user,
            labels: [],
            state: 'open',
            reactions: [],
            createdAt: now,
            updatedAt: now,
            pull: null,
        };
        this.user(user);
        repo.issues.set(one.number, one);
        for (const name of labels) {
            this.ensureLabel(repo, name);
            one.labels.push(name);
        }
        this.emit('issues', 'opened', repo, user, { issue: shapes.issue(this, repo, one) });
        for (const name of labels)
            // GitHub sends one "labeled" for each label of a new issue, after "opened"
            this.emitLabeled('labeled', repo, one, name, user);
        return one;
    }

    ensureLabel(repo, name) {
        if (!repo.labels.has(name)) repo.labels.set(name, this.newId());
    }

    addLabel(repo, one, name, login = repo.owner) {
        this.ensureLabel(repo, name);
        if (one.labels.includes(name)) return;
        one.labels.push(name);
        one.updatedAt = Date.now();
        this.emitLabeled('labeled', repo, one, name, login);
    }

    removeLabel(repo, one, name, login = repo.owner) {
        one.labels = one.labels.filter((each) => each !== name);
        one.updatedAt = Date.now();
        this.emitLabeled('unlabeled', repo, one, name, login);
    }

    emitLabeled(action, repo, one, name, login) {
        if (!one.pull)
            this.emit('issues', action, repo, login, {
                issue: shapes.issue(this, repo, one),
                label: shapes.label(this, repo, name),
            });
    }

    addComment(repo, issue, body, login = repo.owner) {
        const now = Date.now();
        const one = {
            id: this.newId(),
            repo,
            number: issue.number,
            body,
            user: login,
            reactions: [],
            createdAt: now,
            updatedAt: now,
        };
        this.user(login);
        this.comments.set(one.id, one);
        this.emitComment('created', repo, issue, one, login);
        return one;
    }

    changeComment(repo, one, body, login = one.user) {
        one.body = body;
        one.updatedAt = Date.now();
        this.emitComment('edited', repo, repo.issues.get(one.number), one, login);
    }

    emitComment(action, repo, issue, one, login) {
        this.emit('issue_comment', action, repo, login, {
            issue: shapes.issue(this, repo, issue),
            comment: shapes.comment(this, repo, one),
        });
    }

    changeIssue(
        repo,
        one,
        { title = one.title, body = one.body, state = one.state, labels = one.labels },
        login = one.user,
    ) {
        Object.assign(one, { title, body, state, labels, updatedAt: Date.now() });
        if (!one.pull) this.emit('issues', 'edited', repo, login, { issue: shapes.issue(this, repo, one) });
    }

    addPull(repo, { title, body, user, draft, head, base, headSha, fork }) {
        const now = Date.now();
        const one = {
            id: this.newId(),
            number: repo.nextNumber++,
            title,
            body,
            user,
            labels: [],
            state: 'open',
            reactions: [],
            createdAt: now,
            updatedAt: now,
            pull: { head, base, draft, headSha, fork },
        };
        repo.issues.set(one.number, one);
        this.emitLater('pull_request', 'opened', repo, user, async () => ({
            number: one.number,
            pull_request: await shapes.pull(this, repo, one),
        }));
        return one;
    }

    addReviewComment(repo, pull, { body, user, path, line, commit, inReplyTo }) {
        const now = Date.now();
        const one = {
            id: this.newId(),
            repo,
            number: pull.number,
            body,
            user,
            path,
            line,
            commit,
            inReplyTo,
            reactions: [],
            createdAt: now,
            updatedAt: now,
        };
        this.reviewComments.set(one.id, one);
        this.emitLater('pull_request_review_comment', 'created', repo, user, async () => ({
            pull_request: await shapes.pull(this, repo, pull, true),
            comment: shapes.reviewComment(this, repo, one),
        }));
        return one;
    }

    pulls(repo) {
        return [...repo.issues.values()].filter((one) => one.pull);
    }

    // ---- webhooks ----

    emit(event, action, repo, sender, facts) {
        const payload = payloadOf(this, event, action, repo, sender, structuredClone(facts));
        this.emitLater(event, action, repo, sender, null, payload);
    }

    // In order, one after the other, in the background: see settled().
    emitLater(event, action, repo, sender, facts, payload) {
        if (!this.webhook) return;
        const delivery = { id: randomUUID(), event, action, status: null, body: null };
        this.deliveries.push(delivery);
        this.sending = this.sending.then(async () => {
            delivery.body = JSON.stringify(payload ?? payloadOf(this, event, action, repo, sender, await facts()));
            await this.redeliver(delivery);
        });
    }

    /** Sends a delivery (again, with the same id); `changed` replaces headers. Its status is 0 when nobody answers. */
    async redeliver(delivery, changed = {}) {
        const target = { url: this.webhook, secret: this.webhookSecret, app: this.app.id };
        if (!this.webhook) return 0;
        const answer = await send(target, delivery.event, delivery.body, delivery.id, changed).catch(() => ({
            status: 0,
        }));
        delivery.status = answer.status;
        return answer.status;
    }

    /** Waits until all deliveries made so far are sent. */
    async settled() {
        let last;
        do {
            last = this.sending;
            await last;
        } while (last !== this.sending);
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
                response.writeHead(answer.status, {
                    'content-type': 'application/json',
                    'content-length': text.length,
                });
                response.write(text.slice(0, text.length / 2));
            }
            setTimeout(() => response.destroy(), 20);
            return;
        }
        log.status = fault.status;
        this.reply(response, fault.status, fault.body ?? { message: 'Server Error' }, fault.headers);
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

    finish(request, url, operation, log, context, { status = 200, body, list, wrap }) {
        const headers = this.headers();
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
        if (fault && !fault.applied) return this.misbehave(response, fault, { status: 200, body: '' }, {});
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

// What a GitHub knows, and what people do there: repositories, issues, comments, labels, pull requests. Each deed sends
// its webhook, whoever did it.
import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GitRepository } from './git.mjs';
import * as shapes from './shapes.mjs';
import { payloadOf, send } from './webhooks.mjs';

const CAPABILITIES = ['apps', 'checks', 'reactions', 'drafts'];
const PERMISSIONS = {
    metadata: 'read',
    contents: 'write',
    issues: 'write',
    pull_requests: 'write',
    checks: 'write',
    statuses: 'write',
};

export class State {
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
        for (const name of ['violations', 'mistakes', 'requests', 'writes', 'faults', 'deliveries', 'attempts']) this[name] = [];
        this.webhook = null; // where deliveries go; null: nowhere
        this.sending = Promise.resolve();
        this.root = mkdtempSync(join(tmpdir(), 'fake-github-'));
        this.user(this.botLogin, 'Bot');
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
            this.users.set(login, {
                login,
                id,
                type,
                name: login,
                email: `${login.replace(/\W/g, '-')}@users.example.com`,
            });
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
            events: [],
            createdAt: now,
            updatedAt: now,
            pull: null,
        };
        this.user(user);
        repo.issues.set(one.number, one);
        for (const name of labels) {
            this.ensureLabel(repo, name);
            one.labels.push(name);
            this.noteLabel(one, 'labeled', name, user);
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

    noteLabel(one, event, label, user) {
        one.events?.push({ id: this.newId(), event, label, user, at: Date.now() });
    }

    addLabel(repo, one, name, login = repo.owner) {
        this.ensureLabel(repo, name);
        if (one.labels.includes(name)) return;
        one.labels.push(name);
        one.updatedAt = Date.now();
        this.noteLabel(one, 'labeled', name, login);
        this.emitLabeled('labeled', repo, one, name, login);
    }

    removeLabel(repo, one, name, login = repo.owner) {
        one.labels = one.labels.filter((each) => each !== name);
        one.updatedAt = Date.now();
        this.noteLabel(one, 'unlabeled', name, login);
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

    closePull(repo, one, login) {
        Object.assign(one, { state: 'closed', updatedAt: Date.now() });
        this.emitLater('pull_request', 'closed', repo, login, async () => ({
            number: one.number,
            pull_request: await shapes.pull(this, repo, one),
        }));
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
        const again = this.attempts.some((one) => one.delivery === delivery);
        this.attempts.push({ id: this.newId(), delivery, status: answer.status, again, at: Date.now() });
        return answer.status;
    }

    /** The App's owner, or the App itself, asks for another attempt at a delivery. */
    sendAgain(delivery) {
        delivery.askedAgain = (delivery.askedAgain ?? 0) + 1;
        this.sending = this.sending.then(() => this.redeliver(delivery));
    }

    /** Waits until all deliveries made so far are sent. */
    async settled() {
        let last;
        do {
            last = this.sending;
            await last;
        } while (last !== this.sending);
    }
}

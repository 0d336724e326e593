// The operations that the fake implements: GitHub's own name of each, the right it needs, and what it does.
//
// A handler gets {gh, repo, params, query, body, actor} and returns {status, body} or {list} (paged by the caller), or
// throws a Refusal. `needs` is "jwt" (the App itself), "token" (any token) or "<permission>|<permission>:<read|write>".
import { randomBytes } from 'node:crypto';
import * as shapes from './shapes.mjs';

export class Refusal extends Error {
    constructor(status, message, errors) {
        super(message);
        this.status = status;
        this.errors = errors;
    }
}

const ok = (body) => ({ status: 200, body });
const created = (body) => ({ status: 201, body });
const invalid = (resource, field, message) =>
    new Refusal(422, 'Validation Failed', [{ resource, field, code: 'custom', message }]);

function found(value) {
    if (!value) throw new Refusal(404, 'Not Found');
    return value;
}

function issueAt({ repo, params }) {
    return found(repo.issues.get(Number(params.issue_number ?? params.pull_number)));
}

function pullAt(context) {
    const one = issueAt(context);
    return found(one.pull && one);
}

function commentAt({ gh, repo, params }) {
    const one = gh.comments.get(Number(params.comment_id));
    return found(one?.repo === repo && one);
}

function reviewCommentAt({ gh, repo, params }) {
    const one = gh.reviewComments.get(Number(params.comment_id));
    return found(one?.repo === repo && one);
}

function checkText(resource, text, max = 65536) {
    if ([...(text ?? '')].length > max)
        throw invalid(resource, 'body', `body is too long (maximum is ${max} characters)`);
}

// ---- the App ----

function createToken({ gh, params, body = {} }) {
    const one = found(gh.installations.get(Number(params.installation_id)));
    const repos = gh.repositoriesOf(one.id);
    const chosen =
        body.repositories || body.repository_ids
            ? repos.filter((repo) => body.repositories?.includes(repo.name) || body.repository_ids?.includes(repo.id))
            : repos;
    if (chosen.length !== (body.repositories ?? body.repository_ids ?? repos).length)
        throw new Refusal(
            422,
            'There is at least one repository that does not exist or is not accessible to the parent installation.',
        );
    const permissions = body.permissions ?? gh.app.permissions;
    for (const [name, level] of Object.entries(permissions))
        if (!gh.app.permissions[name] || (level === 'write' && gh.app.permissions[name] !== 'write'))
            throw new Refusal(422, 'The permissions requested are not granted to this installation.');
    const token = `ghs_${randomBytes(18).toString('hex')}`;
    const expires = Date.now() + gh.tokenLife;
    gh.tokens.set(token, {
        login: gh.botLogin,
        installation: one.id,
        expires,
        permissions: { metadata: 'read', ...permissions },
        repositories: new Set(chosen.map((repo) => repo.fullName)),
    });
    return created({
        token,
        expires_at: shapes.iso(expires),
        permissions: { metadata: 'read', ...permissions },
        repository_selection: 'selected',
        repositories: chosen.map((repo) => shapes.repository(gh, repo)),
    });
}

/** Newest first, in pages that name the attempt after which the next one begins. */
function listDeliveries({ gh, query }) {
    const size = Number(query.per_page ?? 30);
    const all = [...gh.attempts].reverse();
    const start = query.cursor ? all.findIndex((one) => String(one.id) === query.cursor) + 1 : 0;
    const part = all.slice(start, start + size);
    return {
        status: 200,
        body: part.map((one) => shapes.attempt(gh, one)),
        cursor: start + size < all.length ? part.at(-1).id : null,
    };
}

const attemptAt = ({ gh, params }) => found(gh.attempts.find((one) => one.id === Number(params.delivery_id)));

function redeliver(context) {
    context.gh.sendAgain(attemptAt(context).delivery);
    return { status: 202, body: {} };
}

// ---- issues and comments ----

const since = (query, one) => !query.since || one.updatedAt >= Date.parse(query.since);

function listIssues({ gh, repo, query }) {
    const names = query.labels?.split(',').map((name) => name.toLowerCase()) ?? [];
    const wanted = [...repo.issues.values()].filter(
        (one) =>
            ((query.state ?? 'open') === 'all' || one.state === (query.state ?? 'open')) &&
            names.every((name) => one.labels.some((each) => each.toLowerCase() === name)) &&
            since(query, one),
    );
    return { list: wanted.map((one) => shapes.issue(gh, repo, one)).reverse() };
}

function listRepositoryComments({ gh, repo, query }) {
    const wanted = [...gh.comments.values()].filter((one) => one.repo === repo && since(query, one));
    if (query.direction === 'desc') wanted.reverse();
    return { list: wanted.map((one) => shapes.comment(gh, repo, one)) };
}

async function createComment(context) {
    const { gh, repo, body, actor } = context;
    const one = issueAt(context);
    checkText('IssueComment', body.body);
    if (!body.body.trim()) throw invalid('IssueComment', 'body', "body can't be blank");
    return created(shapes.comment(gh, repo, gh.addComment(repo, one, body.body, actor.login)));
}

function updateComment(context) {
    const { gh, repo, body, actor } = context;
    const one = commentAt(context);
    if (one.user !== actor.login && !['write', 'admin'].includes(repo.permissions.get(actor.login)))
        throw new Refusal(403, 'You cannot edit this comment.');
    checkText('IssueComment', body.body);
    gh.changeComment(repo, one, body.body, actor.login);
    return ok(shapes.comment(gh, repo, one));
}

function react({ gh, body, actor }, reactions) {
    const before = reactions.find((one) => one.user === actor.login && one.content === body.content);
    if (before) return ok(shapes.reaction(gh, before));
    const one = { id: gh.newId(), user: actor.login, content: body.content, createdAt: Date.now() };
    reactions.push(one);
    return created(shapes.reaction(gh, one));
}

function addLabels(context) {
    const { gh, repo, body, actor } = context;
    const one = issueAt(context);
    const names = (Array.isArray(body) ? body : body.labels).map((each) => each.name ?? each);
    for (const name of names) gh.addLabel(repo, one, name, actor.login);
    return ok(one.labels.map((name) => shapes.label(gh, repo, name)));
}

function removeLabel(context) {
    const { gh, repo, params, actor } = context;
    const one = issueAt(context);
    if (!one.labels.includes(params.name)) throw new Refusal(404, 'Label does not exist');
    gh.removeLabel(repo, one, params.name, actor.login);
    return ok(one.labels.map((name) => shapes.label(gh, repo, name)));
}

function createLabel({ gh, repo, body }) {
    if (repo.labels.has(body.name))
        throw new Refusal(422, 'Validation Failed', [{ resource: 'Label', code: 'already_exists', field: 'name' }]);
    repo.labels.set(body.name, gh.newId());
    return created({
        ...shapes.label(gh, repo, body.name),
        color: body.color ?? 'ededed',
        description: body.description ?? null,
    });
}

function updateIssue(context) {
    const { gh, repo, body, actor } = context;
    const one = issueAt(context);
    gh.changeIssue(repo, one, body, actor.login);
    return ok(shapes.issue(gh, repo, one));
}

// ---- pull requests ----

async function createPull({ gh, repo, body, actor }) {
    const [owner, branch] = body.head.includes(':') ? body.head.split(':') : [repo.owner, body.head];
    const source = owner === repo.owner ? repo : found(gh.repositories.get(`${owner}/${repo.name}`));
    const head = await source.git.branch(branch);
    const base = await repo.git.branch(body.base);
    if (!head || !base)
        throw new Refusal(422, 'Validation Failed', [
            { resource: 'PullRequest', field: head ? 'base' : 'head', code: 'invalid' },
        ]);
    if (
        [...repo.issues.values()].some(
            (one) => one.pull?.head === branch && one.pull.base === body.base && one.state === 'open',
        )
    )
        throw invalid('PullRequest', 'head', `A pull request already exists for ${owner}:${branch}.`);
    if (head === base) throw invalid('PullRequest', 'base', `No commits between ${body.base} and ${branch}`);
    if (body.draft && !gh.has('drafts'))
        throw new Refusal(422, 'Draft pull requests are not supported in this repository.');
    checkText('PullRequest', body.body);
    checkText('PullRequest', body.title, 256);
    const one = gh.addPull(repo, {
        title: body.title,
        body: body.body ?? null,
        user: actor.login,
        draft: body.draft ?? false,
        head: branch,
        base: body.base,
        headSha: head,
        fork: source === repo ? null : source,
    });
    return created(await shapes.pull(gh, repo, one));
}

async function updatePull(context) {
    const { gh, repo, body, actor } = context;
    const one = pullAt(context);
    checkText('PullRequest', body.body);
    gh.changeIssue(repo, one, body, actor.login);
    if (body.base) one.pull.base = body.base;
    return ok(await shapes.pull(gh, repo, one));
}

async function listPulls({ gh, repo, query }) {
    const [owner, branch] = query.head ? query.head.split(':') : [];
    if (query.head && !branch) gh.violate('GET pulls: head must be owner:branch (GitHub ignores it otherwise)');
    const wanted = [...repo.issues.values()].filter(
        (one) =>
            one.pull &&
            ((query.state ?? 'open') === 'all' || one.state === (query.state ?? 'open')) &&
            (!branch || (one.pull.head === branch && (one.pull.fork ?? repo).owner === owner)) &&
            (!query.base || one.pull.base === query.base),
    );
    wanted.sort((a, b) => (query.direction === 'asc' ? a.number - b.number : b.number - a.number));
    return { list: await Promise.all(wanted.map((one) => shapes.pull(gh, repo, one, true))) };
}

async function listPullFiles(context) {
    const { gh, repo } = context;
    const { pull } = pullAt(context);
    const base = await repo.git.branch(pull.base);
    const names = { A: 'added', M: 'modified', D: 'removed' };
    const files = await repo.git.changes(base, pull.headSha);
    return {
        list: files.map(({ status, path }) => ({
            sha: null,
            filename: path,
            status: names[status],
            additions: 0,
            deletions: 0,
            changes: 0,
            blob_url: `${gh.url}/blob/${path}`,
            raw_url: `${gh.url}/raw/${path}`,
            contents_url: `${gh.apiUrl}/repos/${repo.fullName}/contents/${path}`,
        })),
    };
}

function addReviewComment(context, inReplyTo) {
    const { gh, repo, body, actor, params } = context;
    const parent = inReplyTo && gh.reviewComments.get(inReplyTo);
    checkText('PullRequestReviewComment', body.body);
    const one = gh.addReviewComment(repo, pullAt({ ...context, params: { pull_number: params.pull_number } }), {
        body: body.body,
        user: actor.login,
        path: parent?.path ?? body.path,
        line: parent?.line ?? body.line,
        commit: parent?.commit ?? body.commit_id,
        inReplyTo,
    });
    return created(shapes.reviewComment(gh, repo, one));
}

// ---- checks and statuses ----

async function createCheck({ gh, repo, body, actor }) {
    if (!actor.installation) throw new Refusal(403, 'You must authenticate via a GitHub App.');
    if (!(await repo.git.resolve(body.head_sha))) throw new Refusal(422, 'No commit found for SHA: ' + body.head_sha);
    const one = { id: gh.newId(), startedAt: Date.now(), annotations: [], updates: 0, status: 'queued' };
    repo.checks.set(one.id, one);
    return created(shapes.checkRun(gh, repo, mergeCheck(one, body)));
}

function updateCheck({ gh, repo, params, body, actor }) {
    const one = found(repo.checks.get(Number(params.check_run_id)));
    if (!actor.installation) throw new Refusal(403, 'You must authenticate via a GitHub App.');
    one.updates += 1;
    return ok(shapes.checkRun(gh, repo, mergeCheck(one, body)));
}

function mergeCheck(one, body) {
    const { output, ...rest } = body;
    Object.assign(one, rest, { updatedAt: Date.now() });
    if (body.conclusion) one.status = 'completed';
    else if (body.status && body.status !== 'completed') one.conclusion = null;
    else if (body.status === 'completed')
        throw invalid('CheckRun', 'conclusion', 'conclusion is required when status is completed');
    if (output) {
        const { annotations = [], ...texts } = output;
        one.output = { ...one.output, ...texts };
        one.annotations.push(...annotations);
    }
    return one;
}

async function commitAt(repo, ref) {
    return found((await repo.git.resolve(ref)) ?? (await repo.git.branch(ref.replace(/^(refs\/)?heads\//, ''))));
}

async function listChecks({ gh, repo, params, query }) {
    const sha = await commitAt(repo, params.ref);
    const wanted = [...repo.checks.values()].filter(
        (one) =>
            one.head_sha === sha &&
            (!query.check_name || one.name === query.check_name) &&
            (!query.status || one.status === query.status) &&
            (!query.app_id || Number(query.app_id) === gh.app.id),
    );
    return { list: wanted.map((one) => shapes.checkRun(gh, repo, one)), wrap: 'check_runs' };
}

async function createStatus({ gh, repo, params, body, actor }) {
    if (!(await repo.git.resolve(params.sha))) throw new Refusal(422, `No commit found for SHA: ${params.sha}`);
    if ([...(body.description ?? '')].length > 140)
        throw invalid('Status', 'description', 'description is too long (maximum is 140 characters)');
    const one = { id: gh.newId(), sha: params.sha, user: actor.login, createdAt: Date.now(), ...body };
    repo.statuses.push(one);
    return created(shapes.status(gh, repo, one));
}

// ---- code ----

async function getContent({ gh, repo, params, query }) {
    const ref = query.ref ?? repo.defaultBranch;
    const commit = await commitAt(repo, ref);
    const data = found(await repo.git.read(commit, params.path));
    return ok(shapes.content(gh, repo, params.path, ref, data, await repo.git.blob(commit, params.path)));
}

async function getRef({ gh, repo, params }) {
    const sha = found(params.ref.startsWith('heads/') && (await repo.git.branch(params.ref.slice(6))));
    const at = `${gh.apiUrl}/repos/${repo.fullName}/git`;
    return ok({
        ref: `refs/${params.ref}`,
        node_id: 'REF',
        url: `${at}/refs/${params.ref}`,
        object: { type: 'commit', sha, url: `${at}/commits/${sha}` },
    });
}

function rateLimit({ gh }) {
    const core = { limit: gh.rate.limit, remaining: gh.rate.remaining, reset: gh.rate.reset, used: gh.rate.used };
    return ok({ resources: { core, search: core }, rate: core });
}

const issues = 'issues|pull_requests';
const at = '/repos/{owner}/{repo}';

/** key → [needs, handler, capability that the server must have] */
export const routes = {
    'GET /app': ['jwt', ({ gh }) => ok({ ...shapes.app(gh), installations_count: gh.installations.size })],
    'GET /app/hook/deliveries': ['jwt', listDeliveries],
    'GET /app/hook/deliveries/{delivery_id}': [
        'jwt',
        (context) => ok(shapes.attemptInFull(context.gh, attemptAt(context))),
    ],
    'POST /app/hook/deliveries/{delivery_id}/attempts': ['jwt', redeliver],
    'GET /app/installations': [
        'jwt',
        ({ gh }) => ({ list: [...gh.installations.values()].map((one) => shapes.installation(gh, one)) }),
    ],
    'GET /app/installations/{installation_id}': [
        'jwt',
        ({ gh, params }) => ok(shapes.installation(gh, found(gh.installations.get(Number(params.installation_id))))),
    ],
    'POST /app/installations/{installation_id}/access_tokens': ['jwt', createToken],
    'GET /repos/{owner}/{repo}/installation': [
        'jwt',
        ({ gh, params }) => {
            const repo = [...gh.repositories.values()].find(
                (one) => one.fullName.toLowerCase() === `${params.owner}/${params.repo}`.toLowerCase(),
            );
            return ok(shapes.installation(gh, found(gh.installations.get(repo?.installation))));
        },
    ],
    [`GET ${at}/installation`]: [
        'jwt',
        ({ gh, repo }) => ok(shapes.installation(gh, found(gh.installations.get(repo.installation)))),
    ],
    'GET /installation/repositories': [
        'token',
        ({ gh, actor }) => ({
            list: [...actor.repositories].map((name) => shapes.repository(gh, gh.repositories.get(name))),
            wrap: 'repositories',
        }),
    ],
    'GET /rate_limit': ['token', rateLimit],
    'GET /user': [
        'token',
        ({ gh, actor }) => {
            if (actor.installation) throw new Refusal(403, 'Resource not accessible by integration');
            return ok(shapes.profile(gh, actor.login, true));
        },
    ],
    'GET /users/{username}': [
        'token',
        ({ gh, params }) => ok(shapes.profile(gh, found(gh.users.has(params.username) && params.username))),
    ],

    [`GET ${at}`]: ['metadata:read', ({ gh, repo }) => ok(shapes.repository(gh, repo))],
    [`GET ${at}/collaborators/{username}/permission`]: [
        'metadata:read',
        ({ gh, repo, params }) =>
            ok(shapes.permission(gh, repo, found(gh.users.has(params.username) && params.username))),
    ],
    [`GET ${at}/contents/{path}`]: ['contents:read', getContent],
    [`GET ${at}/git/ref/{ref}`]: ['contents:read', getRef],

    [`GET ${at}/issues`]: [`${issues}:read`, listIssues],
    [`GET ${at}/issues/comments`]: [`${issues}:read`, listRepositoryComments],
    [`GET ${at}/issues/{issue_number}/events`]: [
        `${issues}:read`,
        (context) => ({
            list: (issueAt(context).events ?? []).map((one) => shapes.labelEvent(context.gh, context.repo, one)),
        }),
    ],
    [`GET ${at}/issues/{issue_number}`]: [
        `${issues}:read`,
        (context) => ok(shapes.issue(context.gh, context.repo, issueAt(context))),
    ],
    [`PATCH ${at}/issues/{issue_number}`]: [`${issues}:write`, updateIssue],
    [`GET ${at}/issues/{issue_number}/comments`]: [
        `${issues}:read`,
        (context) => ({
            list: context.gh
                .commentsOf(context.repo, issueAt(context))
                .map((one) => shapes.comment(context.gh, context.repo, one)),
        }),
    ],
    [`POST ${at}/issues/{issue_number}/comments`]: [`${issues}:write`, createComment],
    [`GET ${at}/issues/comments/{comment_id}`]: [
        `${issues}:read`,
        (context) => ok(shapes.comment(context.gh, context.repo, commentAt(context))),
    ],
    [`PATCH ${at}/issues/comments/{comment_id}`]: [`${issues}:write`, updateComment],
    [`GET ${at}/labels/{name}`]: [
        `${issues}:read`,
        ({ gh, repo, params }) => ok(shapes.label(gh, repo, found(repo.labels.has(params.name) && params.name))),
    ],
    [`POST ${at}/labels`]: [`${issues}:write`, createLabel],
    [`GET ${at}/issues/{issue_number}/labels`]: [
        `${issues}:read`,
        (context) => ({
            list: issueAt(context).labels.map((name) => shapes.label(context.gh, context.repo, name)),
        }),
    ],
    [`POST ${at}/issues/{issue_number}/labels`]: [`${issues}:write`, addLabels],
    [`DELETE ${at}/issues/{issue_number}/labels/{name}`]: [`${issues}:write`, removeLabel],

    [`POST ${at}/issues/{issue_number}/reactions`]: [
        `${issues}:write`,
        (context) => react(context, issueAt(context).reactions),
        'reactions',
    ],
    [`POST ${at}/issues/comments/{comment_id}/reactions`]: [
        `${issues}:write`,
        (context) => react(context, commentAt(context).reactions),
        'reactions',
    ],
    [`POST ${at}/pulls/comments/{comment_id}/reactions`]: [
        'pull_requests:write',
        (context) => react(context, reviewCommentAt(context).reactions),
        'reactions',
    ],

    [`GET ${at}/pulls`]: ['pull_requests:read', listPulls],
    [`POST ${at}/pulls`]: ['pull_requests:write', createPull],
    [`GET ${at}/pulls/{pull_number}`]: [
        'pull_requests:read',
        async (context) => ok(await shapes.pull(context.gh, context.repo, pullAt(context))),
    ],
    [`PATCH ${at}/pulls/{pull_number}`]: ['pull_requests:write', updatePull],
    [`GET ${at}/pulls/{pull_number}/files`]: ['pull_requests:read', listPullFiles],
    [`GET ${at}/pulls/{pull_number}/comments`]: [
        'pull_requests:read',
        (context) => ({
            list: context.gh
                .reviewCommentsOf(pullAt(context))
                .map((one) => shapes.reviewComment(context.gh, context.repo, one)),
        }),
    ],
    [`POST ${at}/pulls/{pull_number}/comments`]: ['pull_requests:write', (context) => addReviewComment(context, null)],
    [`POST ${at}/pulls/{pull_number}/comments/{comment_id}/replies`]: [
        'pull_requests:write',
        (context) => addReviewComment(context, reviewCommentAt(context).id),
    ],
    [`GET ${at}/pulls/comments/{comment_id}`]: [
        'pull_requests:read',
        (context) => ok(shapes.reviewComment(context.gh, context.repo, reviewCommentAt(context))),
    ],

    [`POST ${at}/check-runs`]: ['checks:write', createCheck, 'checks'],
    [`PATCH ${at}/check-runs/{check_run_id}`]: ['checks:write', updateCheck, 'checks'],
    [`GET ${at}/commits/{ref}/check-runs`]: ['checks:read', listChecks, 'checks'],
    [`POST ${at}/statuses/{sha}`]: ['statuses:write', createStatus],
    [`GET ${at}/commits/{ref}/statuses`]: [
        'statuses:read',
        async ({ gh, repo, params }) => {
            const sha = await commitAt(repo, params.ref);
            return {
                list: repo.statuses
                    .filter((one) => one.sha === sha)
                    .reverse()
                    .map((one) => shapes.status(gh, repo, one)),
            };
        },
    ],
};

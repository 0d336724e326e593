// The fake's state as GitHub's JSON: the description's own examples with the state's facts put in.
import { example } from './openapi.mjs';

export const iso = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

// An example with its addresses turned into those of this server and repository.
function placed(gh, name, repo) {
    const text = JSON.stringify(example(name))
        .replaceAll('https://api.github.com', gh.apiUrl)
        .replaceAll('https://github.com', gh.url);
    return JSON.parse(repo ? text.replaceAll(/octocat\/Hello-World|github\/hello-world/g, repo.fullName) : text);
}

export function user(gh, login) {
    const known = gh.user(login);
    const text = JSON.stringify(placed(gh, 'simple-user')).replaceAll('octocat', encodeURIComponent(login));
    return { ...JSON.parse(text), login, id: known.id, node_id: `U_${known.id}`, type: known.type };
}

export function profile(gh, login, mine) {
    const known = gh.user(login);
    const base = mine ? 'private-user-response-with-public-profile-information' : 'public-user-default-response';
    return { ...placed(gh, base), ...user(gh, login), name: known.name, email: known.email };
}

export function app(gh) {
    return {
        ...placed(gh, 'integration'),
        id: gh.app.id,
        slug: gh.app.slug,
        name: gh.app.slug,
        owner: user(gh, gh.app.owner),
        html_url: `${gh.url}/apps/${gh.app.slug}`,
        permissions: gh.app.permissions,
        events: gh.app.events,
    };
}

export function installation(gh, one) {
    return {
        ...placed(gh, 'installation'),
        id: one.id,
        account: user(gh, one.account),
        app_id: gh.app.id,
        app_slug: gh.app.slug,
        repository_selection: 'selected',
        permissions: gh.app.permissions,
        events: gh.app.events,
        target_type: 'User',
        suspended_at: null,
        suspended_by: null,
        access_tokens_url: `${gh.apiUrl}/app/installations/${one.id}/access_tokens`,
    };
}

export function repository(gh, repo) {
    const { organization, parent, source, template_repository, ...base } = placed(
        gh,
        'full-repository-default-response',
        repo,
    );
    return {
        ...base,
        id: repo.id,
        node_id: `R_${repo.id}`,
        name: repo.name,
        full_name: repo.fullName,
        owner: user(gh, repo.owner),
        private: repo.private,
        default_branch: repo.defaultBranch,
        language: 'Python',
        clone_url: `${gh.url}/${repo.fullName}.git`,
        license: null,
        fork: false,
    };
}

export function label(gh, repo, name) {
    return {
        ...placed(gh, 'label', repo),
        id: repo.labels.get(name),
        name,
        description: '',
        default: false,
        url: `${gh.apiUrl}/repos/${repo.fullName}/labels/${encodeURIComponent(name)}`,
    };
}

export function issue(gh, repo, one) {
    const base = JSON.parse(JSON.stringify(placed(gh, 'issue', repo)).replaceAll('1347', String(one.number)));
    const shape = {
        ...base,
        id: one.id,
        node_id: `I_${one.id}`,
        number: one.number,
        title: one.title,
        body: one.body,
        user: user(gh, one.user),
        labels: one.labels.map((name) => label(gh, repo, name)),
        state: one.state,
        assignee: null,
        assignees: [],
        milestone: null,
        locked: false,
        comments: gh.commentsOf(repo, one).length,
        created_at: iso(one.createdAt),
        updated_at: iso(one.updatedAt),
        closed_at: one.state === 'closed' ? iso(one.updatedAt) : null,
        closed_by: null,
        active_lock_reason: null,
        repository_url: `${gh.apiUrl}/repos/${repo.fullName}`,
        author_association: association(gh, repo, one.user),
    };
    delete shape.pull_request;
    if (one.pull)
        shape.pull_request = {
            url: `${gh.apiUrl}/repos/${repo.fullName}/pulls/${one.number}`,
            html_url: pullUrl(gh, repo, one),
            diff_url: `${pullUrl(gh, repo, one)}.diff`,
            patch_url: `${pullUrl(gh, repo, one)}.patch`,
        };
    return shape;
}

const pullUrl = (gh, repo, one) => `${gh.url}/${repo.fullName}/pull/${one.number}`;

export function association(gh, repo, login) {
    if (login === repo.owner) return 'OWNER';
    return ['write', 'maintain', 'admin'].includes(repo.permissions.get(login)) ? 'COLLABORATOR' : 'NONE';
}

export function comment(gh, repo, one) {
    const { pin, minimized, ...base } = placed(gh, 'issue-comment', repo);
    const at = `${gh.apiUrl}/repos/${repo.fullName}`;
    return {
        ...base,
        id: one.id,
        node_id: `IC_${one.id}`,
        body: one.body,
        user: user(gh, one.user),
        url: `${at}/issues/comments/${one.id}`,
        issue_url: `${at}/issues/${one.number}`,
        html_url: `${gh.url}/${repo.fullName}/issues/${one.number}#issuecomment-${one.id}`,
        created_at: iso(one.createdAt),
        updated_at: iso(one.updatedAt),
        author_association: association(gh, repo, one.user),
        performed_via_github_app: null,
    };
}

export function reviewComment(gh, repo, one) {
    const base = placed(gh, 'pull-request-review-comment-2', repo);
    const at = `${gh.apiUrl}/repos/${repo.fullName}`;
    const shape = {
        ...base,
        id: one.id,
        node_id: `PRRC_${one.id}`,
        body: one.body,
        user: user(gh, one.user),
        path: one.path,
        line: one.line,
        original_line: one.line,
        side: 'RIGHT',
        commit_id: one.commit,
        original_commit_id: one.commit,
        url: `${at}/pulls/comments/${one.id}`,
        pull_request_url: `${at}/pulls/${one.number}`,
        html_url: `${gh.url}/${repo.fullName}/pull/${one.number}#discussion_r${one.id}`,
        start_line: null,
        original_start_line: null,
        start_side: null,
        created_at: iso(one.createdAt),
        updated_at: iso(one.updatedAt),
    };
    delete shape.in_reply_to_id;
    return one.inReplyTo ? { ...shape, in_reply_to_id: one.inReplyTo } : shape;
}

export function reaction(gh, one) {
    return {
        ...placed(gh, 'reaction'),
        id: one.id,
        user: user(gh, one.user),
        content: one.content,
        created_at: iso(one.createdAt),
    };
}

export function checkRun(gh, repo, one) {
    const output = one.output ?? {};
    const at = `${gh.apiUrl}/repos/${repo.fullName}/check-runs/${one.id}`;
    return {
        ...placed(gh, 'check-run-example-of-completed-conclusion', repo),
        id: one.id,
        name: one.name,
        head_sha: one.head_sha,
        external_id: one.external_id ?? '',
        status: one.status,
        conclusion: one.conclusion ?? null,
        details_url: one.details_url ?? null,
        url: at,
        html_url: `${gh.url}/${repo.fullName}/runs/${one.id}`,
        app: app(gh),
        pull_requests: [],
        started_at: iso(one.startedAt),
        completed_at: one.conclusion ? iso(one.updatedAt) : null,
        output: {
            title: output.title ?? null,
            summary: output.summary ?? null,
            text: output.text ?? null,
            annotations_count: one.annotations.length,
            annotations_url: `${at}/annotations`,
        },
    };
}

export function status(gh, repo, one) {
    return {
        ...placed(gh, 'status', repo),
        id: one.id,
        state: one.state,
        context: one.context ?? 'default',
        description: one.description ?? null,
        target_url: one.target_url ?? null,
        creator: user(gh, one.user),
        url: `${gh.apiUrl}/repos/${repo.fullName}/statuses/${one.sha}`,
        created_at: iso(one.createdAt),
        updated_at: iso(one.createdAt),
    };
}

function pullEnd(gh, repo, end, ref, sha) {
    return { ...end, label: `${repo.owner}:${ref}`, ref, sha, user: user(gh, repo.owner), repo: repository(gh, repo) };
}

// `simple` is the shape in lists.
export async function pull(gh, repo, one, simple = false) {
    const name = simple ? 'pull-request-simple' : 'pull-request';
    const base = JSON.parse(JSON.stringify(placed(gh, name, repo)).replaceAll('1347', String(one.number)));
    const source = one.pull.fork ?? repo;
    const head = (one.state === 'open' && (await source.git.branch(one.pull.head))) || one.pull.headSha;
    return {
        ...base,
        id: one.id,
        node_id: `PR_${one.id}`,
        number: one.number,
        title: one.title,
        body: one.body,
        user: user(gh, one.user),
        labels: one.labels.map((each) => label(gh, repo, each)),
        state: one.state,
        draft: one.pull.draft,
        assignee: null,
        assignees: [],
        requested_reviewers: [],
        requested_teams: [],
        milestone: null,
        merged_at: null,
        merge_commit_sha: null,
        auto_merge: null,
        active_lock_reason: null,
        locked: false,
        closed_at: one.state === 'closed' ? iso(one.updatedAt) : null,
        head: pullEnd(gh, source, base.head, one.pull.head, head),
        base: pullEnd(gh, repo, base.base, one.pull.base, await repo.git.branch(one.pull.base)),
        html_url: pullUrl(gh, repo, one),
        url: `${gh.apiUrl}/repos/${repo.fullName}/pulls/${one.number}`,
        created_at: iso(one.createdAt),
        updated_at: iso(one.updatedAt),
        author_association: association(gh, repo, one.user),
        ...(simple
            ? {}
            : {
                  merged: false,
                  mergeable: true,
                  merged_by: null,
                  comments: gh.commentsOf(repo, one).length,
              }),
    };
}

export function permission(gh, repo, login) {
    const role = repo.permissions.get(login) ?? 'none';
    const legacy = { maintain: 'write', triage: 'read' }[role] ?? role;
    const base = placed(gh, 'repository-collaborator-permission-response-if-user-has-admin-permissions');
    const rights = ['pull', 'triage', 'push', 'maintain', 'admin'];
    const height = { none: -1, read: 0, triage: 1, write: 2, maintain: 3, admin: 4 }[role];
    return {
        permission: legacy,
        role_name: role,
        user: {
            ...base.user,
            ...user(gh, login),
            role_name: role,
            permissions: Object.fromEntries(rights.map((right, i) => [right, i <= height])),
        },
    };
}

export function content(gh, repo, path, ref, data, sha) {
    const at = `${gh.apiUrl}/repos/${repo.fullName}/contents/${path}?ref=${ref}`;
    const html = `${gh.url}/${repo.fullName}/blob/${ref}/${path}`;
    const git = `${gh.apiUrl}/repos/${repo.fullName}/git/blobs/${sha}`;
    return {
        type: 'file',
        encoding: 'base64',
        size: data.length,
        name: path.split('/').pop(),
        path,
        sha,
        url: at,
        content: data.toString('base64').replace(/(.{60})/g, '$1\n'),
        git_url: git,
        html_url: html,
        download_url: `${gh.url}/raw/${repo.fullName}/${ref}/${path}`,
        _links: { git, self: at, html },
    };
}

export function labelEvent(gh, repo, one) {
    const [base] = placed(gh, 'issue-event-for-issue-items', repo);
    return {
        ...base,
        id: one.id,
        node_id: `LE_${one.id}`,
        url: `${gh.apiUrl}/repos/${repo.fullName}/issues/events/${one.id}`,
        actor: user(gh, one.user),
        event: one.event,
        commit_id: null,
        commit_url: null,
        created_at: iso(one.at),
        performed_via_github_app: null,
        label: { name: one.label, color: 'ededed' },
    };
}

/** One attempt at a delivery, as the list of an App's deliveries shows it. */
export function attempt(gh, one) {
    const { delivery } = one;
    const payload = JSON.parse(delivery.body);
    return {
        id: one.id,
        guid: delivery.id,
        delivered_at: new Date(one.at).toISOString(),
        redelivery: one.again,
        duration: 0.1,
        status: one.status ? (one.status < 300 ? 'OK' : 'Invalid HTTP Response') : 'failed to connect to host',
        status_code: one.status || 502,
        event: delivery.event,
        action: delivery.action ?? null,
        installation_id: payload.installation?.id ?? null,
        repository_id: payload.repository?.id ?? null,
        throttled_at: null,
    };
}

export function attemptInFull(gh, one) {
    const headers = { 'X-GitHub-Delivery': one.delivery.id, 'X-GitHub-Event': one.delivery.event };
    return {
        ...attempt(gh, one),
        url: gh.webhook,
        request: { headers, payload: JSON.parse(one.delivery.body) },
        response: { headers: {}, payload: '' },
    };
}

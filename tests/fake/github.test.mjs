// The fake GitHub is itself held to what it promises, by plain requests.
import assert from 'node:assert/strict';
import { createSign } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeGitHub } from './github.mjs';
import { git } from './git.mjs';
import { sign } from './webhooks.mjs';

let gh, repo, pat;

before(async () => {
    gh = await new FakeGitHub().start();
    repo = await gh.addRepository('octo/shop', { files: { 'README.md': '# Shop\n' } });
    gh.addToken('pat-octo', 'octo');
    pat = { authorization: 'token pat-octo' };
});
after(() => gh.stop());
beforeEach(() => {
    gh.violations.length = gh.mistakes.length = gh.writes.length = gh.faults.length = 0;
});

function call(method, path, { body, headers = pat } = {}) {
    return fetch(gh.apiUrl + path, {
        method,
        body: body && JSON.stringify(body),
        headers: {
            'user-agent': 'test',
            accept: 'application/vnd.github+json',
            ...(body && { 'content-type': 'application/json' }),
            ...headers,
        },
    });
}

function jwt(changes = {}, key = gh.privateKey) {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iss: String(gh.app.id), iat: now - 60, exp: now + 500, ...changes })}`;
    return { authorization: `Bearer ${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}` };
}

async function installationToken(body) {
    const answer = await call('POST', `/app/installations/${repo.installation}/access_tokens`, {
        headers: jwt(),
        body,
    });
    return answer.json();
}

describe('what GitHub describes', () => {
    test('an unknown path is a violation', async () => {
        assert.equal((await call('GET', '/repos/octo/shop/nonsense')).status, 404);
        assert.match(gh.violations[0], /no such operation/);
        assert.throws(() => gh.check(), /nonsense/);
    });
    for (const [what, path, body, pattern] of [
        ['a missing member', '/repos/octo/shop/check-runs', { name: 'assay' }, /head_sha/],
        ['a wrong type', '/repos/octo/shop/pulls', { title: 'x', head: 'a', base: 'main', draft: 'yes' }, /draft/],
        [
            'a misspelt member',
            '/repos/octo/shop/pulls',
            { title: 'x', head: 'a', base: 'main', drafft: true },
            /additional/,
        ],
        ['a value that is not listed', '/repos/octo/shop/issues/1/reactions', { content: 'eye' }, /allowed values/],
        ['no body', '/repos/octo/shop/pulls', undefined, /body is missing/],
    ])
        test(`${what} in a body is a violation`, async () => {
            await call('POST', path, { body }).catch(() => {});
            assert.match(gh.violations.join('\n'), pattern);
        });
    test('an unknown query parameter is a violation', async () => {
        await call('GET', '/repos/octo/shop/pulls?heads=x');
        assert.match(gh.violations.join('\n'), /additional/);
    });
    test('a request without the right Accept is a violation', async () => {
        await call('GET', '/repos/octo/shop', { headers: { ...pat, accept: 'text/html' } });
        assert.match(gh.violations.join('\n'), /Accept/);
    });
});

describe('credentials', () => {
    test('an App JWT opens the App and its installation', async () => {
        assert.equal((await (await call('GET', '/app', { headers: jwt() })).json()).slug, 'assay');
        assert.equal(
            (await (await call('GET', '/repos/octo/shop/installation', { headers: jwt() })).json()).id,
            repo.installation,
        );
        gh.check();
    });
    const now = Math.floor(Date.now() / 1000);
    for (const [what, changes] of [
        ['another issuer', { iss: '1' }],
        ['iat in the future', { iat: now + 120 }],
        ['exp over ten minutes away', { exp: now + 700 }],
        ['exp in the past', { exp: now - 1 }],
    ])
        test(`a JWT with ${what} is refused`, async () => {
            assert.equal((await call('GET', '/app', { headers: jwt(changes) })).status, 401);
            assert.equal(gh.violations.length, 1);
        });
    test('a JWT signed by another key is refused', async () => {
        const { generateKeyPairSync } = await import('node:crypto');
        const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
        assert.equal((await call('GET', '/app', { headers: jwt({}, other) })).status, 401);
    });
    test('an installation token opens its repositories with its permissions only', async () => {
        await gh.addRepository('octo/other');
        const { token } = await installationToken({ repositories: ['shop'], permissions: { issues: 'read' } });
        const headers = { authorization: `Bearer ${token}` };
        assert.equal((await call('GET', '/repos/octo/shop', { headers })).status, 200);
        assert.equal((await call('GET', '/repos/octo/other', { headers })).status, 404);
        gh.check();
        const issue = gh.openIssue(repo, { title: 'x' });
        assert.equal(
            (await call('POST', `/repos/octo/shop/issues/${issue.number}/comments`, { headers, body: { body: 'x' } }))
                .status,
            403,
        );
    });
    test('a token for a repository that the App is not on is refused', async () => {
        assert.equal((await installationToken({ repositories: ['missing'] })).token, undefined);
    });
    test('an expired token is refused', async () => {
        const { token } = await installationToken();
        gh.expireTokens();
        assert.equal(
            (await call('GET', '/repos/octo/shop', { headers: { authorization: `token ${token}` } })).status,
            401,
        );
        gh.check();
    });
});

describe('issues, comments, labels, reactions', () => {
    test('a comment is created, edited and listed in pages', async () => {
        const issue = gh.openIssue(repo, { title: 'Pages' });
        const path = `/repos/octo/shop/issues/${issue.number}/comments`;
        for (let i = 0; i < 5; i++) await call('POST', path, { body: { body: `comment ${i}` } });
        const second = await call('GET', `${path}?per_page=2&page=2`);
        assert.deepEqual(
            (await second.json()).map((one) => one.body),
            ['comment 2', 'comment 3'],
        );
        assert.match(second.headers.get('link'), /page=3>; rel="next"/);
        assert.match(second.headers.get('link'), /page=3>; rel="last"/);
        const [first] = await (await call('GET', path)).json();
        assert.equal(
            (await call('PATCH', `/repos/octo/shop/issues/comments/${first.id}`, { body: { body: 'changed' } })).status,
            200,
        );
        assert.equal((await (await call('GET', path)).json())[0].body, 'changed');
        assert.equal(gh.writes.length, 6);
        gh.check();
    });
    test('a body that is too long is refused', async () => {
        const issue = gh.openIssue(repo, { title: 'Long' });
        const answer = await call('POST', `/repos/octo/shop/issues/${issue.number}/comments`, {
            body: { body: 'x'.repeat(65537) },
        });
        assert.equal(answer.status, 422);
    });
    test('the same reaction twice is one', async () => {
        const issue = gh.openIssue(repo, { title: 'Eyes' });
        const react = () =>
            call('POST', `/repos/octo/shop/issues/${issue.number}/reactions`, { body: { content: 'eyes' } });
        assert.deepEqual([(await react()).status, (await react()).status], [201, 200]);
        assert.equal(issue.reactions.length, 1);
        gh.check();
    });
    test('labels come and go', async () => {
        const issue = gh.openIssue(repo, { title: 'Labels' });
        const path = `/repos/octo/shop/issues/${issue.number}/labels`;
        await call('POST', path, { body: { labels: ['assay:working'] } });
        assert.deepEqual(issue.labels, ['assay:working']);
        assert.equal((await call('DELETE', `${path}/${encodeURIComponent('assay:working')}`)).status, 200);
        assert.equal((await call('DELETE', `${path}/missing`)).status, 404);
        assert.equal((await (await call('GET', `/repos/octo/shop/issues/${issue.number}`)).json()).labels.length, 0);
        gh.check();
    });
    test('people and the App itself have profiles', async () => {
        gh.user('mia');
        for (const login of ['mia', 'assay[bot]'])
            assert.equal((await (await call('GET', `/users/${encodeURIComponent(login)}`)).json()).login, login);
        assert.equal((await call('GET', '/users/nobody')).status, 404);
        gh.check();
    });
    test("permissions have GitHub's two names", async () => {
        gh.permit(repo, 'mia', 'maintain');
        const answer = await (await call('GET', '/repos/octo/shop/collaborators/mia/permission')).json();
        assert.deepEqual([answer.permission, answer.role_name], ['write', 'maintain']);
        gh.check();
    });
});

describe('requests that repeat', () => {
    test('an ETag gives 304 and costs no rate limit', async () => {
        const first = await call('GET', '/repos/octo/shop');
        const left = gh.rate.remaining;
        const again = await call('GET', '/repos/octo/shop', {
            headers: { ...pat, 'if-none-match': first.headers.get('etag') },
        });
        assert.equal(again.status, 304);
        assert.equal(gh.rate.remaining, left);
        assert.equal(first.headers.get('x-ratelimit-remaining') > 0, true);
    });
    test('faults hit the requests that they name, as often as they say', async () => {
        gh.fault({ match: 'GET /repos/octo/shop', after: 1, times: 2, status: 502, body: 'bad gateway' });
        const statuses = [];
        for (let i = 0; i < 4; i++) statuses.push((await call('GET', '/repos/octo/shop')).status);
        assert.deepEqual(statuses, [200, 502, 502, 200]);
    });
    test('an applied fault has its effect and loses the answer', async () => {
        const issue = gh.openIssue(repo, { title: 'Lost' });
        gh.fault({ match: 'POST /repos/octo/shop/issues', status: 500, applied: true });
        assert.equal(
            (await call('POST', `/repos/octo/shop/issues/${issue.number}/comments`, { body: { body: 'once' } })).status,
            500,
        );
        assert.equal(gh.commentsOf(repo, issue).length, 1);
    });
    for (const end of ['reset', 'half'])
        test(`the end "${end}" breaks the connection`, async () => {
            gh.fault({ match: 'GET /repos/octo/shop', end });
            await assert.rejects(async () => (await call('GET', '/repos/octo/shop')).text());
        });
    test('the end "stall" never answers', async () => {
        gh.fault({ match: 'GET /repos/octo/shop', end: 'stall' });
        await assert.rejects(
            fetch(`${gh.apiUrl}/repos/octo/shop`, { headers: pat, signal: AbortSignal.timeout(300) }),
            /abort|timeout/i,
        );
    });
});

describe('git and pull requests', () => {
    let clone;
    before(() => {
        clone = mkdtempSync(join(tmpdir(), 'fake-clone-'));
    });
    after(() => rmSync(clone, { recursive: true, force: true }));
    const address = (token) => gh.url.replace('//', `//x-access-token:${token}@`) + '/octo/shop.git';

    test('a clone needs a token', async () => {
        await assert.rejects(git(clone, 'clone', address('wrong'), 'denied'));
        await git(clone, 'clone', address((await installationToken()).token), 'tree');
    });
    test('a pushed branch becomes a pull request, once', async () => {
        const tree = join(clone, 'tree');
        writeFileSync(join(tree, 'new.txt'), 'new\n');
        await git(tree, 'checkout', '-b', 'assay/1-new');
        await git(tree, 'add', '.');
        await git(tree, 'commit', '-m', 'Add new');
        const { token } = await installationToken();
        await git(tree, 'push', address(token), 'HEAD:assay/1-new');
        assert.deepEqual(
            gh.writes.filter((one) => one.key === 'PUSH').map((one) => one.branch),
            ['assay/1-new'],
        );
        const open = () =>
            call('POST', '/repos/octo/shop/pulls', {
                body: { title: 'New', head: 'assay/1-new', base: 'main', body: 'x' },
            });
        const pull = await (await open()).json();
        assert.equal(pull.head.sha, (await git(tree, 'rev-parse', 'HEAD')).toString().trim());
        assert.equal((await open()).status, 422);
        assert.equal(
            (await (await call('GET', '/repos/octo/shop/pulls?head=octo:assay/1-new&state=open')).json()).length,
            1,
        );
        assert.equal(
            (await call('PATCH', `/repos/octo/shop/pulls/${pull.number}`, { body: { title: 'Newer' } })).status,
            200,
        );
        assert.equal(
            (await (await call('GET', `/repos/octo/shop/pulls/${pull.number}/files`)).json())[0].filename,
            'new.txt',
        );
        const headers = { authorization: `Bearer ${token}` };
        const check = await (
            await call('POST', '/repos/octo/shop/check-runs', {
                headers,
                body: { name: 'assay', head_sha: pull.head.sha, status: 'in_progress', external_id: 'job-1' },
            })
        ).json();
        await call('PATCH', `/repos/octo/shop/check-runs/${check.id}`, {
            headers,
            body: { status: 'completed', conclusion: 'success', output: { title: 'proven', summary: 'all' } },
        });
        const checks = await (
            await call('GET', `/repos/octo/shop/commits/${pull.head.sha}/check-runs?check_name=assay`, { headers })
        ).json();
        assert.deepEqual([checks.total_count, checks.check_runs[0].conclusion], [1, 'success']);
        assert.equal(
            (
                await call('POST', `/repos/octo/shop/statuses/${pull.head.sha}`, {
                    body: { state: 'success', context: 'assay' },
                })
            ).status,
            201,
        );
        gh.check();
    });
    test('a token cannot write check runs', async () => {
        const answer = await call('POST', '/repos/octo/shop/check-runs', {
            body: { name: 'assay', head_sha: await repo.git.branch('main') },
        });
        assert.equal(answer.status, 403);
    });
    test('a file is read at a branch', async () => {
        const answer = await (await call('GET', '/repos/octo/shop/contents/README.md?ref=main')).json();
        assert.equal(Buffer.from(answer.content, 'base64').toString(), '# Shop\n');
        assert.equal((await call('GET', '/repos/octo/shop/contents/.github/assay.yml')).status, 404);
        gh.check();
    });
});

describe('webhooks', () => {
    test("arrive in order, signed, with the state's facts", async () => {
        const got = [];
        const receiver = createServer((request, response) => {
            let text = '';
            request
                .on('data', (chunk) => {
                    text += chunk;
                })
                .on('end', () => {
                    got.push({ headers: request.headers, text });
                    response.writeHead(202).end();
                });
        });
        await new Promise((listening) => receiver.listen(0, '127.0.0.1', listening));
        gh.webhook = `http://127.0.0.1:${receiver.address().port}/webhooks/github`;
        gh.permit(repo, 'mia', 'write');
        const issue = gh.openIssue(repo, { title: 'Hook', body: 'ünï', user: 'mia', labels: ['assay'] });
        gh.addComment(repo, issue, '/generate', 'mia');
        await gh.settled();
        receiver.close();
        gh.webhook = null;
        assert.deepEqual(
            got.map(({ headers, text }) => `${headers['x-github-event']} ${JSON.parse(text).action}`),
            ['issues opened', 'issues labeled', 'issue_comment created'],
        );
        for (const { headers, text } of got) assert.equal(headers['x-hub-signature-256'], sign('hook-secret', text));
        const labeled = JSON.parse(got[1].text);
        assert.equal(labeled.label.name, 'assay');
        assert.equal(labeled.issue.title, 'Hook');
        assert.equal(labeled.repository.full_name, 'octo/shop');
        assert.equal(labeled.sender.login, 'mia');
        assert.equal(labeled.installation.id, repo.installation);
        assert.equal(JSON.parse(got[2].text).comment.body, '/generate');
    });
});

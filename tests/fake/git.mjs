// Real bare repositories, and git's own smart HTTP server in front of them (git http-backend, run as CGI).
import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const environment = {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    LANG: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'Octo',
    GIT_AUTHOR_EMAIL: 'octo@example.com',
    GIT_AUTHOR_DATE: '2024-01-01T00:00:00Z',
    GIT_COMMITTER_NAME: 'Octo',
    GIT_COMMITTER_EMAIL: 'octo@example.com',
    GIT_COMMITTER_DATE: '2024-01-01T00:00:00Z',
};

export async function git(directory, ...args) {
    const { stdout } = await run('git', args, {
        cwd: directory,
        env: environment,
        maxBuffer: 64 << 20,
        encoding: 'buffer',
    });
    return stdout;
}

const missing = () => null; // a revision or path that is not there

/** One bare repository. */
export class GitRepository {
    constructor(directory) {
        this.directory = directory;
    }

    /** `seed` is a folder to copy; `files` maps paths to texts (null removes) on top of it. */
    static async create(directory, { seed, files = {}, branch = 'main' }) {
        mkdirSync(dirname(directory), { recursive: true });
        await git(dirname(directory), 'init', '--quiet', '--bare', `--initial-branch=${branch}`, directory);
        await git(directory, 'config', 'http.receivepack', 'true');
        const repository = new GitRepository(directory);
        await repository.commit({ seed, files, branch, message: 'Start' });
        return repository;
    }

    /** Commits on a branch (made from `from` when it is new), as a person with a clone would; the commit's id. */
    async commit({ seed, files = {}, branch = 'main', from = 'main', message }) {
        const tree = mkdtempSync(`${this.directory}.work-`);
        try {
            const exists = await this.branch(branch);
            const start = exists ? branch : (await this.branch(from)) && from;
            if (start) {
                await git(tree, 'clone', '--quiet', '--branch', start, this.directory, '.');
                await git(tree, 'checkout', '--quiet', '-B', branch);
            } else {
                await git(tree, 'init', '--quiet', `--initial-branch=${branch}`);
            }
            if (seed) cpSync(seed, tree, { recursive: true });
            for (const [path, text] of Object.entries(files)) {
                mkdirSync(dirname(join(tree, path)), { recursive: true });
                text === null ? rmSync(join(tree, path)) : writeFileSync(join(tree, path), text);
            }
            await git(tree, 'add', '--all');
            await git(tree, 'commit', '--quiet', '--allow-empty', '-m', message);
            await git(tree, 'push', '--quiet', this.directory, `HEAD:refs/heads/${branch}`);
        } finally {
            rmSync(tree, { recursive: true, force: true });
        }
        return this.branch(branch);
    }

    /** The commit that a branch is at, or null. */
    async branch(name) {
        return this.resolve(`refs/heads/${name}`);
    }

    async resolve(revision) {
        const out = await git(this.directory, 'rev-parse', '--verify', '--quiet', `${revision}^{commit}`).catch(
            missing,
        );
        return out ? out.toString().trim() : null;
    }

    /** All branches: {name: commit}. */
    async branches() {
        const out = await git(
            this.directory,
            'for-each-ref',
            '--format=%(refname:lstrip=2) %(objectname)',
            'refs/heads',
        );
        return Object.fromEntries(
            out
                .toString()
                .split('\n')
                .filter(Boolean)
                .map((line) => line.split(' ')),
        );
    }

    /** The commits of base..head, oldest first: [{id, author, email, subject, body}]. */
    async log(base, head) {
        const out = await git(
            this.directory,
            'log',
            '--reverse',
            '--format=%H%x00%an%x00%ae%x00%s%x00%b%x01',
            `${base}..${head}`,
        );
        return out
            .toString()
            .split('\x01')
            .map((text) => text.replace(/^\n/, ''))
            .filter(Boolean)
            .map((text) => {
                const [id, author, email, subject, body] = text.split('\0');
                return { id, author, email, subject, body };
            });
    }

    /** The paths that differ: [{status: 'A', path}]. */
    async changes(from, to) {
        const out = await git(this.directory, 'diff', '--name-status', '--no-renames', from, to);
        return out
            .toString()
            .split('\n')
            .filter(Boolean)
            .map((line) => {
                const [status, path] = line.split('\t');
                return { status, path };
            });
    }

    /** A file's bytes at a revision, or null. */
    async read(revision, path) {
        return git(this.directory, 'show', `${revision}:${path}`).catch(missing);
    }

    async blob(revision, path) {
        const out = await git(this.directory, 'rev-parse', `${revision}:${path}`).catch(missing);
        return out && out.toString().trim();
    }

    /** Writes a commit's tree to a folder. */
    async checkout(revision, directory) {
        mkdirSync(directory, { recursive: true });
        await git(this.directory, '--work-tree', directory, 'checkout', '--quiet', '--force', revision, '--', '.');
    }
}

/** Hands one request to git http-backend; `root` holds the repositories. Gives {status, headers, body}. */
export async function serveGit(root, request, { path, query, login }) {
    const headers = request.headers;
    const backend = spawn('git', ['http-backend'], {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: {
            PATH: process.env.PATH,
            GIT_CONFIG_NOSYSTEM: '1',
            GIT_CONFIG_GLOBAL: '/dev/null',
            GIT_PROJECT_ROOT: root,
            GIT_HTTP_EXPORT_ALL: '1',
            PATH_INFO: path,
            QUERY_STRING: query,
            REQUEST_METHOD: request.method,
            CONTENT_TYPE: headers['content-type'] ?? '',
            HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
            GIT_PROTOCOL: headers['git-protocol'] ?? '',
            REMOTE_USER: login,
            REMOTE_ADDR: '127.0.0.1',
        },
    });
    request.pipe(backend.stdin);
    backend.stdin.on('error', () => {}); // the backend may stop reading first
    const chunks = [];
    for await (const chunk of backend.stdout) chunks.push(chunk);
    const output = Buffer.concat(chunks);
    const end = output.indexOf('\r\n\r\n');
    const fields = Object.fromEntries(
        output
            .subarray(0, end)
            .toString()
            .split('\r\n')
            .map((line) => line.split(': ')),
    );
    const { Status: status = '200', ...rest } = fields;
    return { status: Number(status.slice(0, 3)), headers: rest, body: output.subarray(end + 4) };
}

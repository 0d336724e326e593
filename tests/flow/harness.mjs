// One small world for each test: the real binary with the real sandbox and real git, a fake GitHub and a fake model.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FakeGitHub } from '../fake/github.mjs';
import { FakeModel } from '../fake/model.mjs';

const run = promisify(execFile);
export const root = fileURLToPath(new URL('../..', import.meta.url));
export const binary = process.env.ASSAY_BINARY ?? join(root, 'build/assay');
const state = join(process.env.XDG_STATE_HOME ?? join(process.env.HOME ?? '/root', '.local/state'), 'assay');
export const tools = process.env.ASSAY_TOOLS ?? join(state, 'tools');

export const SHOP = join(root, 'examples/shop');
export const PATIENCE = Number(process.env.FLOW_PATIENCE ?? 90_000); // for one job, on a slow machine

/** Why flows cannot run here, or false. */
export const cannotRun =
    (!existsSync(binary) && `${binary} is missing: run make`) ||
    (!existsSync(join(tools, 'python/bin/python')) && `${tools}/python is missing: run sh deploy/bootstrap tools`);

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Asks until it is true, and gives what was answered. `what` goes into the complaint. */
export async function until(what, question, patience = PATIENCE) {
    const end = Date.now() + patience;
    for (;;) {
        const answer = await question();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`waited ${patience / 1000} s in vain until ${what}`);
        await wait(50);
    }
}

async function freePort() {
    const server = createServer();
    await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address();
    await new Promise((closed) => server.close(closed));
    return port;
}

// ---- what models write ----

export const fenced = (code, path) => `Here it is.\n\n\`\`\`python${path ? ` ${path}` : ''}\n${code.trim()}\n\`\`\`\n`;

export const SPEC = {
    title: 'Slugs for product pages',
    body: `### Signature
\`slugify(text: str) -> str\`

### File
src/shop/text.py

### Behaviour
Letters become lower case; every run of characters that are not ASCII letters or digits becomes one hyphen, none at the
start or the end.

### Examples
- \`slugify("Green Tea")\` -> \`"green-tea"\`
- \`slugify("???")\` -> \`""\`
`,
};

export const GOOD_TESTS = `
from shop.text import slugify


def test_runs_become_one_hyphen():
    assert slugify("Cup & Saucer") == "cup-saucer"


def test_no_hyphen_at_the_ends():
    assert slugify("  Tea!  ") == "tea"
`;

export const GOOD_CODE = `
import re


def slugify(text: str) -> str:
    """The text as a part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
`;

// Three ways to be wrong, each failing another set of tests.
export const BAD_CODE = `
def slugify(text: str) -> str:
    """The text as a part of an address."""
    return text.lower().replace(" ", "-")
`;
export const WORSE_CODE = `
def slugify(text: str) -> str:
    """The text as a part of an address."""
    return text
`;

/** A model that does everything right, but for the roles that are given: a text, or a function of what is asked that
 *  gives nothing for "as usual". */
export function script(roles = {}) {
    const good = { tests: fenced(GOOD_TESTS), implement: fenced(GOOD_CODE), repair: fenced(GOOD_CODE) };
    return (asked) => {
        const answer = roles[asked.role];
        return (typeof answer === 'function' ? answer(asked) : answer) || good[asked.role];
    };
}

// ---- the program ----

/** Runs the binary in a folder; gives {status, out, err}. */
export async function command(folder, args, environment = {}) {
    const env = { PATH: process.env.PATH, HOME: folder, ASSAY_TOOLS: tools, LANG: 'C.UTF-8', ...environment };
    return run(binary, args, { cwd: folder, env, maxBuffer: 64 << 20 }).then(
        ({ stdout, stderr }) => ({ status: 0, out: stdout, err: stderr }),
        ({ code, stdout, stderr }) => ({ status: code, out: stdout, err: stderr }),
    );
}

function children(pid) {
    const found = [];
    for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
        try {
            const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8'));
            if (Number(parent) === pid) found.push(Number(name), ...children(Number(name)));
        } catch {
            continue; // it has just ended
        }
    }
    return found;
}

/** A process's arguments; what valgrind runs is seen without it. */
function commandLine(pid) {
    try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const own = /valgrind/.test(argv[0]) ? argv.findIndex((one, i) => i > 0 && !one.startsWith('-')) : 0;
        return argv.slice(Math.max(own, 0));
    } catch {
        return [];
    }
}

function kill(pid) {
    try {
        process.kill(pid, 'SIGKILL');
    } catch {
        return; // it was quicker
    }
}

/** `assay serve` in a state directory of its own. */
export class Assay {
    constructor(folder, config, environment) {
        this.folder = folder;
        this.file = join(folder, 'assay.yml');
        this.environment = {
            PATH: process.env.PATH,
            HOME: folder,
            ASSAY_TOOLS: tools,
            LANG: 'C.UTF-8',
            ...environment,
        };
        this.address = `http://${config.server.listen}`;
        this.log = '';
        writeFileSync(this.file, JSON.stringify(config, null, 2)); // YAML has JSON in it
    }

    async start() {
        this.child = spawn(binary, ['serve', '--config', this.file], {
            cwd: this.folder,
            env: this.environment,
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        const child = this.child;
        for (const stream of [child.stdout, child.stderr])
            stream.on('data', (text) => {
                this.log += text;
            });
        this.ended = new Promise((done) => child.on('close', (status, signal) => done(status ?? signal)));
        await until(
            'assay serve answers',
            async () => {
                if (child.exitCode !== null) throw new Error(`assay serve has ended (${child.exitCode}):\n${this.log}`);
                return (await fetch(`${this.address}/healthz`).catch(() => null))?.ok;
            },
            PATIENCE / 4,
        );
        await until('all its processes run', () => this.processes().some(({ argv }) => argv[1] === 'work'), PATIENCE / 4);
        return this;
    }

    async stop() {
        if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return;
        let late = false;
        const timer = setTimeout(() => {
            late = true;
            this.killAll();
        }, PATIENCE / 6);
        this.child.kill('SIGTERM');
        await this.ended;
        clearTimeout(timer);
        if (late) throw new Error(`assay serve did not stop within ${PATIENCE / 6000} s of SIGTERM`);
    }

    processes() {
        return children(this.child.pid).map((pid) => ({ pid, argv: commandLine(pid) }));
    }

    /** The processes that run a job's attempt. */
    jobProcesses() {
        return this.processes().filter(
            ({ argv }) => argv[0]?.includes('assay') && argv[1] === 'job' && !argv.includes('--bury'),
        );
    }

    /** The power goes out. */
    async killAll() {
        const all = [this.child.pid, ...children(this.child.pid)];
        all.forEach(kill);
        await this.ended;
    }

    /** Runs another command with the same configuration; gives {status, out, err}. */
    async command(...args) {
        return command(this.folder, [args[0], '--config', this.file, ...args.slice(1)], this.environment);
    }

    async jobs() {
        const { status, out, err } = await this.command('jobs', '--json');
        if (status !== 0) throw new Error(`assay jobs: ${err}`);
        const value = JSON.parse(out);
        return value.jobs ?? value;
    }
}

// ---- the world ----

function configOf({ gh, model, port, folder, token, more }) {
    const secret = (name, text) => {
        writeFileSync(join(folder, name), text, { mode: 0o600 });
        return `file:${join(folder, name)}`;
    };
    const credentials = token
        ? { token: secret('token', token) }
        : { app_id: gh.app.id, private_key: secret('app.pem', gh.privateKey) };
    const models = ['tests', 'implement', 'repair'].map((name) => ({
        name,
        kind: 'openai',
        base_url: `${model.url}/v1`,
        model: name,
        stall: `${Math.max(3, Math.round(PATIENCE / 30_000))}s`,
    }));
    const config = {
        server: { listen: `127.0.0.1:${port}` },
        state_dir: join(folder, 'state'),
        workers: 2,
        forges: [
            {
                name: 'github',
                kind: 'github',
                api_url: gh.apiUrl,
                git_url: gh.url,
                webhook_secret: secret('webhook-secret', gh.webhookSecret),
                ...credentials,
            },
        ],
        models,
        routes: { tests: ['tests'], implement: ['implement'], repair: ['repair'] },
        sandbox: { memory: '1GiB', cpus: 2, pids: 128, timeout: '60s', disk: '256MiB' },
    };
    return { ...config, ...(typeof more === 'function' ? more(config, secret) : more) };
}

/** Builds a world that is gone when the test `t` ends; the fakes' complaints fail the test, unless `lenient`.
 *  model: a handler as in fake/model.mjs; github: options of FakeGitHub; token: a personal access token in place of the
 *  App; config: changes to assay.yml (or a function that gives them); files: put on top of the example shop. */
export async function world(
    t,
    { model: handler = script(), github = {}, token, config, files, lenient = false, start = true } = {},
) {
    const folder = mkdtempSync(join(tmpdir(), 'assay-flow-'));
    mkdirSync(join(folder, 'state'));
    const gh = await new FakeGitHub(github).start();
    const model = await new FakeModel(handler).start();
    const repo = await gh.addRepository('octo/shop', { seed: SHOP, files });
    gh.permit(repo, 'mia', 'write');
    gh.permit(repo, 'eve', 'read');
    if (token) {
        gh.user('assay-user');
        gh.permit(repo, 'assay-user', 'write');
        gh.addToken(token, 'assay-user');
    }
    const port = await freePort();
    const assay = new Assay(folder, configOf({ gh, model, port, folder, token, more: config }));
    gh.webhook = `http://127.0.0.1:${port}/webhooks/github`;
    const one = new World({ gh, model, repo, assay, folder });
    t.after(async () => {
        if (process.env.FLOW_LOG) process.stderr.write(assay.log);
        await assay.stop();
        await gh.settled();
        await Promise.all([gh.stop(), model.stop()]);
        rmSync(folder, { recursive: true, force: true });
        if (!lenient) {
            gh.check();
            model.check();
        }
    });
    if (start) await assay.start();
    return one;
}

export class World {
    constructor(parts) {
        Object.assign(this, parts);
        this.bot = this.gh.has('apps') ? this.gh.botLogin : 'assay-user';
    }

    /** An issue with the label, as a person of the team makes it. */
    ask(more = {}) {
        return this.gh.openIssue(this.repo, { ...SPEC, user: 'mia', labels: ['assay'], ...more });
    }

    /** Our comments on an issue, as texts. */
    said(issue) {
        return this.gh
            .commentsOf(this.repo, issue)
            .filter((one) => one.user === this.bot)
            .map((one) => one.body);
    }

    /** What our comments are about, by their markers: ["job:1:progress", …], sorted. */
    markers(issue) {
        return this.said(issue)
            .map((body) => /<!-- assay:(.*?) -->/.exec(body)?.[1])
            .sort();
    }

    /** Waits until all jobs have ended; `count` is how many there must be. */
    async ended(count = 1, patience = PATIENCE) {
        await this.gh.settled();
        return until(
            `${count} job(s) have ended`,
            async () => {
                const jobs = await this.assay.jobs();
                const over = jobs.every((job) => ['done', 'failed', 'cancelled', 'question'].includes(job.state));
                return over && jobs.length >= count && jobs;
            },
            patience,
        ).catch((error) => {
            throw new Error(`${error.message}\n--- the log ends with:\n${this.assay.log.slice(-1500)}`);
        });
    }

    /** Waits for the one pull request. */
    async pull() {
        await this.ended();
        const pulls = this.gh.pulls(this.repo);
        if (pulls.length !== 1)
            throw new Error(
                `there are ${pulls.length} pull requests: ${JSON.stringify(await this.assay.jobs())}\n${this.assay.log.slice(-1500)}`,
            );
        return pulls[0];
    }

    /** Everything that came in before has been worked through: `/help` from a person of the team is answered. */
    async answered(issue) {
        const before = this.said(issue).length;
        this.gh.addComment(this.repo, issue, '/help', 'mia');
        await this.gh.settled();
        await until('/help is answered', () => this.said(issue).length > before, 20_000);
    }

    /** Runs the changed tests of a pull request on each of its commits: [{subject, paths, passed, output}]. */
    async proof(pull) {
        const { git } = this.repo;
        const results = [];
        const commits = await git.log(pull.pull.base, pull.pull.headSha);
        const tests = (await git.changes(pull.pull.base, pull.pull.headSha))
            .map((one) => one.path)
            .filter((path) => /test/.test(path));
        for (const [i, commit] of commits.entries()) {
            const tree = join(this.folder, `commit-${i}`);
            await git.checkout(commit.id, tree);
            const options = {
                cwd: tree,
                env: { PATH: process.env.PATH, PYTHONPATH: 'src', PYTHONDONTWRITEBYTECODE: '1' },
            };
            const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...tests];
            const passed = await run(join(tools, 'python/bin/python'), args, options).then(
                ({ stdout }) => ({ passed: true, output: stdout }),
                ({ stdout }) => ({ passed: false, output: stdout }),
            );
            const parent = i ? commits[i - 1].id : pull.pull.base;
            results.push({
                ...commit,
                paths: (await git.changes(parent, commit.id)).map((one) => one.path),
                ...passed,
            });
        }
        return results;
    }

    writes(key) {
        return this.gh.writes.filter((one) => one.key === key && one.status < 300);
    }

    checks() {
        return [...this.repo.checks.values()];
    }
}
